// Keys: derivation, deterministic signatures, VLEK wrapping. Firmware sheet 4.4, 6, 7.3.
#include "machine/psp/endorsement_key.hpp"

#include <numeric>
#include <set>

#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/id_block.hpp"
#include "machine/psp/kdf.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

template <usize bytes>
std::array<u8, bytes> array_from_hex(std::string_view text) {
  std::array<u8, bytes> out{};
  const std::vector<u8> all = from_hex(text);
  std::copy_n(all.begin(), bytes, out.begin());
  return out;
}

std::span<const u8> bytes_of(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

std::string big_endian(const u8* little, usize bytes) {
  std::vector<u8> out(little, little + bytes);
  std::reverse(out.begin(), out.end());
  return to_hex(out);
}

// Firmware sheet 7.3: Z of 10h zero bytes, nonce 0.
TEST(KdfTest, known_answers) {
  const std::array<u8, 16> zeros{};
  std::array<u8, 16> master;
  derive_key(zeros, "sev-master-secret", zeros, master);
  EXPECT_EQ(to_hex(master), "ab4d269fcc62bedb4511d56c386ce706");
  std::array<u8, 16> key;
  derive_key(master, "sev-kek", {}, key);
  EXPECT_EQ(to_hex(key), "b6abfbfb75ea1ea74ed8750b8afdb973");
  derive_key(master, "sev-kik", {}, key);
  EXPECT_EQ(to_hex(key), "53b524bf5669a363f365c864acba8572");
}

TEST(KdfTest, the_output_length_is_part_of_the_input) {
  std::array<u8, 32> shorter;
  std::array<u8, 80> longer;
  derive_key(bytes_of("key"), "label", bytes_of("context"), shorter);
  derive_key(bytes_of("key"), "label", bytes_of("context"), longer);
  EXPECT_FALSE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
  EXPECT_FALSE(std::equal(longer.begin(), longer.begin() + 16, longer.begin() + 32));
}

// RFC 6979, A.2.6: P-384 with SHA-384.
class P384Test : public testing::Test {
 protected:
  const P384 p384;
  Sha384 sha;
  const P384Scalar key = array_from_hex<48>(
      "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2"
      "edf5");
};

TEST_F(P384Test, public_key) {
  const EcdsaPublicKey expected = p384.public_key(key);
  EXPECT_EQ(expected.curve, EcdsaPublicKey::curve_p384);
  EXPECT_EQ(big_endian(expected.qx, 48),
            "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254"
            "515480bc13");
  EXPECT_EQ(big_endian(expected.qy, 48),
            "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd"
            "2533264720");
}

TEST_F(P384Test, signatures_of_rfc_6979) {
  const EcdsaSignature sample = p384.sign(key, sha(bytes_of("sample")));
  EXPECT_EQ(big_endian(sample.r, 48),
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd"
            "1e80fabe46");
  EXPECT_EQ(big_endian(sample.s, 48),
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c7"
            "1a38628ac8");
  const EcdsaSignature test = p384.sign(key, sha(bytes_of("test")));
  EXPECT_EQ(big_endian(test.r, 48),
            "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd3"
            "ca3cf023db");
  EXPECT_EQ(big_endian(test.s, 48),
            "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b82"
            "8246baa5a5");
}

TEST_F(P384Test, a_digest_above_the_order_is_reduced) {
  Digest ones;
  std::fill_n(ones.bytes, digest_bytes, u8{0xFF});
  const EcdsaSignature signature = p384.sign(key, ones);
  Digest reduced = digest_from_hex(  // 2^384 - 1 - order
      "000000000000000000000000000000000000000000000000389cb27e0bc8d220a7e5f24db74f58851313e695333a"
      "d68c");
  const EcdsaSignature again = p384.sign(key, reduced);
  EXPECT_EQ(to_hex(signature.r), to_hex(again.r));
  EXPECT_EQ(to_hex(signature.s), to_hex(again.s));
}

TEST_F(P384Test, reduce_keeps_out_zero_and_the_order) {
  const auto reduced = [this](std::string_view text) {
    return to_hex(p384.reduce(from_hex(text)));
  };
  EXPECT_EQ(reduced("00"), std::string(95, '0') + "1");
  const std::string order =
      "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc5"
      "2973";
  EXPECT_EQ(reduced(order), std::string(95, '0') + "2");
  std::string below = order;
  below.back() = '1';  // order - 2, the largest residue of order - 1
  std::string last = order;
  last.back() = '2';
  EXPECT_EQ(reduced(below), last);
}

class EndorsementKeyTest : public testing::Test {
 protected:
  static constexpr TcbComponents tcb{0, 3, 2, 20, 100};
  ChipSecret secret = [] {
    ChipSecret bytes;
    bytes.fill(0x5A);
    return bytes;
  }();
  VlekHashstick stick = [] {
    VlekHashstick bytes;
    for (usize at = 0; at < bytes.size(); ++at) {
      bytes[at] = static_cast<u8>(at);
    }
    return bytes;
  }();
};

TEST_F(EndorsementKeyTest, vcek_is_a_function_of_secret_and_tcb) {
  const EndorsementKey key = derive_vcek(secret, tcb, Product::genoa);
  const EndorsementKey again = derive_vcek(secret, encode_tcb(Product::genoa, tcb));
  EXPECT_EQ(key.seed, again.seed);
  EXPECT_EQ(key.private_key, again.private_key);
  std::set<P384Scalar> keys{key.private_key};
  secret[47] ^= 1;
  EXPECT_TRUE(keys.insert(derive_vcek(secret, tcb, Product::genoa).private_key).second);
  secret[47] ^= 1;
  EXPECT_TRUE(keys.insert(derive_vcek(secret, tcb, Product::turin).private_key).second);
  for (u8 TcbComponents::*component : {&TcbComponents::boot_loader, &TcbComponents::tee,
                                       &TcbComponents::snp, &TcbComponents::microcode}) {
    TcbComponents other = tcb;
    ++(other.*component);
    EXPECT_TRUE(keys.insert(derive_vcek(secret, other, Product::genoa).private_key).second);
  }
}

// Computed with another program from the rules in endorsement_key.cpp, so that certificates made by
// an earlier build stay valid.
TEST_F(EndorsementKeyTest, vcek_does_not_change_between_builds) {
  EXPECT_EQ(to_hex(derive_vcek(secret, tcb, Product::genoa).private_key),
            "ddcd4cab01cfd9239f4173cf06371f4ee78e039dc59329fd4ffdbec2348441162cf58565cb60d219491353"
            "c9c2ea8d53");
}

TEST_F(EndorsementKeyTest, components_do_not_stand_for_one_another) {
  EXPECT_NE(derive_vcek(secret, {0, 4, 2, 20, 100}, Product::genoa).seed,
            derive_vcek(secret, {0, 3, 3, 20, 100}, Product::genoa).seed);
  EXPECT_NE(derive_vcek(secret, {0, 3, 2, 21, 99}, Product::genoa).seed,
            derive_vcek(secret, {0, 3, 2, 20, 100}, Product::genoa).seed);
}

TEST_F(EndorsementKeyTest, vlek_rolls_back_but_not_forward) {
  const TcbVersion high = encode_tcb(Product::genoa, {0, 3, 2, 20, 100});
  const TcbVersion middle = encode_tcb(Product::genoa, {0, 3, 1, 20, 90});
  const auto at_high = derive_vlek(stick, high, high);
  const auto at_middle = derive_vlek(stick, high, middle);
  ASSERT_TRUE(at_high && at_middle);
  EXPECT_NE(at_high->private_key, at_middle->private_key);
  EXPECT_EQ(derive_vlek(stick, high, middle)->private_key, at_middle->private_key);
  EXPECT_FALSE(derive_vlek(stick, middle, high));
  EXPECT_FALSE(derive_vlek(stick, high, encode_tcb(Product::genoa, {0, 3, 2, 0, 101})));
  for (usize byte = 0; byte < stick.size(); byte += 47) {
    VlekHashstick other = stick;
    other[byte] ^= 0x80;
    EXPECT_NE(derive_vlek(other, high, high)->private_key, at_high->private_key);
  }
}

TEST_F(EndorsementKeyTest, a_wrapped_vlek_opens_on_its_chip_alone) {
  const EndorsementKey vcek = derive_vcek(secret, tcb, Product::genoa);
  const WrappedVlek wrapped = wrap_vlek(vcek, stick, encode_tcb(Product::genoa, tcb),
                                        array_from_hex<12>("000102030405060708090a0b"));
  EXPECT_NE(to_hex(wrapped.hashstick), to_hex(stick));
  EXPECT_EQ(unwrap_vlek(vcek, wrapped), stick);
  EXPECT_FALSE(unwrap_vlek(derive_vcek(secret, {0, 3, 2, 20, 99}, Product::genoa), wrapped));
  for (usize byte = 0; byte < sizeof wrapped; ++byte) {
    if (byte >= 0xC && byte < 0x10) {
      continue;  // outside of the seal; the command wants zero there
    }
    WrappedVlek altered = wrapped;
    reinterpret_cast<u8*>(&altered)[byte] ^= 1;
    EXPECT_FALSE(unwrap_vlek(vcek, altered)) << byte;
  }
}

// Firmware sheet 4.1: the message vector.
TEST(GcmTest, known_answer_and_refusal) {
  std::array<u8, 32> key;
  std::iota(key.begin(), key.end(), u8{0});
  std::array<u8, 12> iv{1};
  std::array<u8, 0x30> aad{1, 1, 0x60, 0, 5, 1, 0x60, 0};
  std::array<u8, 0x60> data{};
  std::iota(data.begin(), data.begin() + 0x40, u8{0});
  const std::array<u8, 0x60> plain = data;
  const GcmTag tag = gcm_seal({key, iv, aad}, data);
  EXPECT_EQ(to_hex(data),
            "e22d803ca0aaea00420d0fc830cc86c4dc70dd3d68bd7d05560647e5013b996fccddd2ea048788e8f0f437"
            "f862242ea7c0e4fcb7d1456ca0bbb1da492b891678bcafa49213c0f2445044cd48be94fd5eb5f3e8b761e8"
            "0896f353185b4abd740d");
  EXPECT_EQ(to_hex(tag), "0f354f26b13f7433d3674d8eebcaf847");
  std::array<u8, 0x60> copy = data;
  EXPECT_TRUE(gcm_open({key, iv, aad}, copy, tag));
  EXPECT_EQ(copy, plain);
  copy = data;
  copy[0x5F] ^= 1;
  EXPECT_FALSE(gcm_open({key, iv, aad}, copy, tag));
  EXPECT_EQ(copy, (std::array<u8, 0x60>{})) << "no plaintext of a forged message";
}

}  // namespace
}  // namespace softsnp::psp

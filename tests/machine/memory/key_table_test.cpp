// The AES engine: the properties that software can observe (hardware sheet 2.3) and the cipher
// itself against plain AES-128-ECB.
#include "machine/memory/crypt/key_table.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace softsnp::memory {
namespace {

using Frame = std::array<u8, page_size>;
using Bytes16 = std::array<u8, 16>;
constexpr KeyId key_1{1}, key_2{2};
constexpr SystemPhysical page{0x5000};

Frame pattern() {
  Frame frame;
  for (usize i = 0; i < frame.size(); ++i) {
    frame[i] = static_cast<u8>(i * 7 + i / 256);
  }
  return frame;
}

Bytes16 block(const Frame& frame, usize index) {
  Bytes16 out;
  std::memcpy(out.data(), frame.data() + 16 * index, 16);
  return out;
}

Bytes16 operator^(Bytes16 a, const Bytes16& b) {
  for (usize i = 0; i < 16; ++i) {
    a[i] = static_cast<u8>(a[i] ^ b[i]);
  }
  return a;
}

Bytes16 plain_aes(const MemoryKey& key, Bytes16 in, int encrypt) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_CipherInit_ex(context, EVP_aes_128_ecb(), nullptr, key.bytes, nullptr, encrypt);
  EVP_CIPHER_CTX_set_padding(context, 0);
  Bytes16 out{};
  int length = 0;
  EVP_CipherUpdate(context, out.data(), &length, in.data(), 16);
  EVP_CIPHER_CTX_free(context);
  EXPECT_EQ(length, 16);
  return out;
}

class Keys : public ::testing::Test {
 protected:
  Keys() {
    keys.set_tweak_seed(42);
    keys.install(key_1, first);
    keys.install(key_2, second);
  }
  Frame encrypted(Frame frame, KeyId id = key_1, SystemPhysical at = page) {
    keys.encrypt_frame(id, at, frame.data());
    return frame;
  }
  Frame decrypted(Frame frame, KeyId id = key_1, SystemPhysical at = page) {
    keys.decrypt_frame(id, at, frame.data());
    return frame;
  }
  MemoryKey first{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
  MemoryKey second{{9, 9, 9}};
  KeyTable keys;
};

TEST_F(Keys, round_trip) {
  const Frame text = pattern();
  EXPECT_NE(encrypted(text), text);
  EXPECT_EQ(decrypted(encrypted(text)), text);
  EXPECT_EQ(encrypted(decrypted(text)), text);
}

TEST_F(Keys, same_key_address_and_text_give_the_same_ciphertext) {
  EXPECT_EQ(encrypted(pattern()), encrypted(pattern()));
  EXPECT_EQ(encrypted(pattern(), key_1, page + 0x123), encrypted(pattern())) << "offset ignored";
}

TEST_F(Keys, equal_text_differs_by_page_block_key_and_machine) {
  const Frame zeros{};
  const Frame cipher = encrypted(zeros);
  for (unsigned bit_number = page_shift; bit_number < 52; ++bit_number) {
    EXPECT_NE(block(encrypted(zeros, key_1, SystemPhysical{page.value() ^ bit(bit_number)}), 0),
              block(cipher, 0))
        << "address bit " << bit_number;
  }
  for (usize a = 0; a < 256; ++a) {
    for (usize b = 0; b < a; ++b) {
      ASSERT_NE(block(cipher, a), block(cipher, b)) << "blocks " << a << " and " << b;
    }
  }
  EXPECT_NE(encrypted(zeros, key_2), cipher);
  KeyTable other;
  other.set_tweak_seed(43);
  other.install(key_1, first);
  Frame elsewhere{};
  other.encrypt_frame(key_1, page, elsewhere.data());
  EXPECT_NE(elsewhere, cipher);
  other.set_tweak_seed(42);
  elsewhere = Frame{};
  other.encrypt_frame(key_1, page, elsewhere.data());
  EXPECT_EQ(elsewhere, cipher) << "the seed decides";
}

TEST_F(Keys, a_change_stays_in_its_block) {
  Frame text = pattern();
  const Frame before = encrypted(text);
  text[16 * 7 + 3] ^= 1;
  const Frame after = encrypted(text);
  for (usize i = 0; i < 256; ++i) {
    EXPECT_EQ(block(before, i) == block(after, i), i != 7) << "block " << i;
  }
}

TEST_F(Keys, moved_ciphertext_is_noise_and_replayed_ciphertext_is_the_old_text) {
  const Frame text = pattern();
  const Frame cipher = encrypted(text);
  const Frame moved = decrypted(cipher, key_1, page + page_size);
  Frame swapped = cipher;
  std::swap_ranges(swapped.begin(), swapped.begin() + 16, swapped.begin() + 16);
  const Frame after_swap = decrypted(swapped);
  for (usize i = 0; i < 256; ++i) {
    EXPECT_NE(block(moved, i), block(text, i));
  }
  EXPECT_NE(block(after_swap, 0), block(text, 0));
  EXPECT_NE(block(after_swap, 0), block(text, 1));
  EXPECT_EQ(block(after_swap, 2), block(text, 2));
  EXPECT_EQ(decrypted(cipher), text);
}

// Written again from the definition: C = AES(P ^ T) ^ T, T the xor of one constant per set address
// bit from bit 4 up, constants derived as key_table.hpp says.
Bytes16 tweak(u64 seed, u64 address) {
  Bytes16 total{};
  for (u64 n = 4; n < 52; ++n) {
    if (!has_bit(address, static_cast<unsigned>(n))) {
      continue;
    }
    u8 input[32] = "softsnp tweak";
    std::memcpy(input + 16, &seed, 8);
    std::memcpy(input + 24, &n, 8);
    u8 digest[EVP_MAX_MD_SIZE];
    EVP_Digest(input, sizeof input, digest, nullptr, EVP_sha256(), nullptr);
    Bytes16 constant;
    std::memcpy(constant.data(), digest, 16);
    total = total ^ constant;
  }
  return total;
}

TEST_F(Keys, is_xex_over_plain_aes) {
  const Frame text = pattern();
  for (const u64 at :
       {u64{0}, u64{0x1000}, u64{0x9000}, u64{0x7FFFFFFFF000}, u64{0xFFFFFFFFFF000}}) {
    const Frame cipher = encrypted(text, key_2, SystemPhysical{at});
    for (usize i = 0; i < 256; ++i) {
      const Bytes16 t = tweak(42, at + 16 * i);
      ASSERT_EQ(block(cipher, i), plain_aes(second, block(text, i) ^ t, 1) ^ t)
          << "sPA " << at << " block " << i;
    }
  }
}

TEST_F(Keys, blocks_inside_a_frame_match_the_whole_frame) {
  const Frame cipher = encrypted(pattern());
  Frame part = pattern();
  keys.encrypt_blocks(key_1, page + 0x40, part.data() + 0x40, 3);
  for (usize i = 0; i < 256; ++i) {
    const bool inside = i >= 4 && i < 7;
    EXPECT_EQ(block(part, i), inside ? block(cipher, i) : block(pattern(), i)) << "block " << i;
  }
  keys.decrypt_blocks(key_1, page + 0x40, part.data() + 0x40, 3);
  EXPECT_EQ(part, pattern());
}

TEST_F(Keys, an_unset_or_erased_key_is_the_zero_key) {
  const Frame zero_key = encrypted(pattern(), KeyId{77});
  EXPECT_NE(encrypted(pattern()), zero_key);
  keys.erase(key_1);
  EXPECT_EQ(encrypted(pattern()), zero_key);
  EXPECT_EQ(decrypted(zero_key), pattern());
  keys.install(key_1, first);
  EXPECT_NE(encrypted(pattern()), zero_key);
}

TEST_F(Keys, raw_is_no_key) {
  Frame frame{};
  EXPECT_DEATH(keys.encrypt_frame(KeyId::none, page, frame.data()), "broken invariant");
  EXPECT_DEATH(keys.encrypt_frame(KeyId{1024}, page, frame.data()), "broken invariant");
}

}  // namespace
}  // namespace softsnp::memory

// The known answers of firmware sheet 7.3 and 2.4.
#include "machine/psp/sev_session.hpp"

#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

Key128 key_from(std::string_view text) {
  Key128 key;
  const Bytes bytes = from_hex(text);
  std::copy_n(bytes.begin(), key.size(), key.begin());
  return key;
}

TEST(SevSession, MasterSecretAndWrapKeys) {
  const std::array<u8, 16> zero{};
  const Key128 master = derive_master_secret(zero, zero);
  EXPECT_EQ(to_hex(master), "ab4d269fcc62bedb4511d56c386ce706");
  const SevWrapKeys wrap = derive_wrap_keys(master);
  EXPECT_EQ(to_hex(wrap.encryption), "b6abfbfb75ea1ea74ed8750b8afdb973");
  EXPECT_EQ(to_hex(wrap.integrity), "53b524bf5669a363f365c864acba8572");
  SevSession session{};
  seal_session(session, wrap, {}, 0);
  EXPECT_EQ(to_hex(session.wrapped_keys),
            "2137bc7f9bb8bd7c3e55a576a15d3454b3856b8ba27afadf46dcfee9f02c02c4");
  EXPECT_EQ(to_hex(session.wrap_mac),
            "3176c0752738bd9d5e86689534020f528c088f16238826b000b327dee6aeed7d");
  EXPECT_EQ(to_hex(session.policy_mac),
            "aa7855e13839dd767cd5da7c1ff5036540c9264b7a803029315e55375287b4af");
  SevTransportKeys keys{key_from("ffffffffffffffffffffffffffffffff"), {}};
  EXPECT_TRUE(open_session(session, wrap, 0, keys));
  EXPECT_EQ(keys, SevTransportKeys{});
}

TEST(SevSession, Measurement) {
  const Key128 tik = key_from("66320db73158a35a255d051758e95ed4");
  const Bytes nonce = from_hex("4fbe0bedbad6c86ae8f68971d103e554");
  EXPECT_EQ(to_hex(measurement_mac(tik, {0, 18, 15}, 0, sha256({}), std::span(nonce).first<16>())),
            "6faab2daae389bcd3405a05d6cafe33c0414f7bedd0bae19ba5f38b7fd1664ea");
}

TEST(SevSession, EachBitOfASessionCounts) {
  const SevWrapKeys wrap = derive_wrap_keys(key_from("000102030405060708090a0b0c0d0e0f"));
  const SevTransportKeys keys{key_from("101112131415161718191a1b1c1d1e1f"),
                              key_from("202122232425262728292a2b2c2d2e2f")};
  SevSession session{};
  seal_session(session, wrap, keys, 5);
  SevTransportKeys opened;
  EXPECT_FALSE(open_session(session, wrap, 4, opened)) << "another policy";
  auto* const raw = reinterpret_cast<u8*>(&session);
  for (usize at = 0x10; at < sizeof session; ++at) {  // the nonce is in the wrap keys
    raw[at] ^= 0x80;
    // WRAP_IV has no MAC of its own; a wrong one makes wrong keys, and POLICY_MAC tells.
    EXPECT_FALSE(open_session(session, wrap, 5, opened)) << at;
    raw[at] ^= 0x80;
  }
  EXPECT_EQ(opened, SevTransportKeys{});
  EXPECT_TRUE(open_session(session, wrap, 5, opened));
  EXPECT_EQ(opened, keys);
}

TEST(Sha256Stream, CopiesGoTheirOwnWay) {
  Sha256Stream a;
  a.add(pattern(100));
  Sha256Stream b = a;
  b.add(pattern(5));
  EXPECT_EQ(a.digest(), sha256_of(pattern(100)));
  a = b;
  Bytes both = pattern(100);
  append(both, pattern(5));
  EXPECT_EQ(a.digest(), sha256_of(both));
  EXPECT_EQ(b.digest(), a.digest()) << "digest() ends nothing";
}

}  // namespace
}  // namespace softsnp::psp

#include "guest/crypto/aes_gcm.hpp"

#include <gtest/gtest.h>

#include "tests/guest/crypto/openssl_oracle.hpp"

namespace softsnp::crypto {
namespace {

Bytes seal(const Bytes& key, const Bytes& iv, const Bytes& aad, const Bytes& text) {
  Bytes out = text;
  out.resize(text.size() + AesGcm::tag_bytes);
  const AesGcm gcm(key.data());
  gcm.seal(iv.data(), aad, {out.data(), text.size()}, out.data() + text.size());
  return out;
}

// FIPS 197 C.3, and each of the four blocks stands alone.
TEST(Aes256, StandardVector) {
  const Bytes key = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const Bytes text = from_hex("00112233445566778899aabbccddeeff");
  const Bytes cipher = from_hex("8ea2b7ca516745bfeafc49904b496089");
  u8 blocks[64] = {};
  for (usize block : {0u, 2u}) {
    std::copy(text.begin(), text.end(), blocks + 16 * block);
  }
  Aes256(key.data()).encrypt(blocks);
  EXPECT_EQ(Bytes(blocks, blocks + 16), cipher);
  EXPECT_EQ(Bytes(blocks + 32, blocks + 48), cipher);
  EXPECT_EQ(Bytes(blocks + 16, blocks + 32), Bytes(blocks + 48, blocks + 64));
}

// "The Galois/Counter Mode of Operation", test cases 13 to 16 (NIST submission; AES-256).
TEST(AesGcm, StandardVectors) {
  struct Vector {
    const char *key, *iv, *aad, *text, *sealed;
  };
  const char* zero_key = "0000000000000000000000000000000000000000000000000000000000000000";
  const char* key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
  const Vector vectors[] = {
      {zero_key, "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {zero_key, "000000000000000000000000", "", "00000000000000000000000000000000",
       "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
      {key, "cafebabefacedbaddecaf888", "",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"
       "49a6b525b16aedf5aa0de657ba637b391aafd255",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
       "56828838c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a502270e3cc6c"},
      {key, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24"
       "49a6b525b16aedf5aa0de657ba637b39",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
       "56828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
  };
  for (const Vector& v : vectors) {
    EXPECT_EQ(seal(from_hex(v.key), from_hex(v.iv), from_hex(v.aad), from_hex(v.text)),
              from_hex(v.sealed));
  }
}

TEST(AesGcm, AgreesWithOpenSsl) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 400; ++i) {
    const Bytes key = random_bytes(random, 32), iv = random_bytes(random, 12);
    const Bytes aad = random_bytes(random, random() % 70),
                text = random_bytes(random, random() % 300);
    ASSERT_EQ(seal(key, iv, aad, text), openssl_gcm_seal(key, iv, aad, text));
  }
}

TEST(AesGcm, OpensWhatOpenSslSealedAndNothingAltered) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200; ++i) {
    const Bytes key = random_bytes(random, 32), iv = random_bytes(random, 12);
    Bytes aad = random_bytes(random, 48);
    const Bytes text = random_bytes(random, 1 + random() % 200);
    Bytes sealed = openssl_gcm_seal(key, iv, aad, text);
    const AesGcm gcm(key.data());
    const bool alter = i % 2 == 1;
    if (alter) {
      u8& victim =
          random() % 3 == 0 ? aad[random() % aad.size()] : sealed[random() % sealed.size()];
      victim = static_cast<u8>(victim ^ 1 << random() % 8);
    }
    const Bytes before = sealed;
    const bool good =
        gcm.open(iv.data(), aad, {sealed.data(), text.size()}, sealed.data() + text.size());
    ASSERT_EQ(good, !alter);
    sealed.resize(text.size());
    ASSERT_EQ(sealed, alter ? Bytes(before.begin(), before.end() - 16) : text);
  }
}

}  // namespace
}  // namespace softsnp::crypto

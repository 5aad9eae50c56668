#include "guest/crypto/sha2.hpp"

#include <gtest/gtest.h>

#include "tests/guest/crypto/openssl_oracle.hpp"

namespace softsnp::crypto {
namespace {

template <class Sha>
Bytes digest(const Bytes& data, usize piece = 1000) {
  Sha sha;
  for (usize at = 0; at < data.size(); at += piece) {
    sha.update({data.data() + at, std::min(piece, data.size() - at)});
  }
  Bytes out(Sha::digest_bytes);
  sha.finish(out.data());
  return out;
}

// FIPS 180-4's examples ("abc").
TEST(Sha2, StandardVectors) {
  const Bytes abc = {'a', 'b', 'c'};
  EXPECT_EQ(digest<Sha256>(abc),
            from_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  EXPECT_EQ(digest<Sha384>(abc),
            from_hex("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                     "8086072ba1e7cc2358baeca134c825a7"));
  EXPECT_EQ(digest<Sha512>(abc),
            from_hex("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
}

// Every length around the block borders, in pieces of any size.
TEST(Sha2, AgreesWithOpenSsl) {
  std::mt19937_64 random(3);
  for (usize size = 0; size < 300; ++size) {
    const Bytes data = random_bytes(random, size);
    const usize piece = 1 + random() % 150;
    ASSERT_EQ(digest<Sha256>(data, piece), openssl_digest(EVP_sha256(), data)) << size;
    ASSERT_EQ(digest<Sha384>(data, piece), openssl_digest(EVP_sha384(), data)) << size;
    ASSERT_EQ(digest<Sha512>(data, piece), openssl_digest(EVP_sha512(), data)) << size;
  }
}

}  // namespace
}  // namespace softsnp::crypto

#include "platform/pss.hpp"

#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "platform/encoding.hpp"

namespace softsnp::platform {

namespace {

constexpr usize hash_bytes = 48;
using Hash = std::array<u8, hash_bytes>;
using Parts = std::initializer_list<std::span<const u8>>;

Hash sha384(Parts parts) {
  const DigestContext context(required(EVP_MD_CTX_new()));
  require(EVP_DigestInit_ex(context.get(), EVP_sha384(), nullptr) == 1);
  for (const auto& part : parts) {
    require(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  }
  Hash hash;
  require(EVP_DigestFinal_ex(context.get(), hash.data(), nullptr) == 1);
  return hash;
}

// A secret of the key's that only serves here: nobody else can tell the salt from a random one.
Hash salt_for(EVP_PKEY& key, const Hash& message) {
  static constexpr u8 purpose[] = "softsnp PSS salt";
  u8* der = nullptr;
  const int length = i2d_PrivateKey(&key, &der);
  require(length > 0);
  const std::span<const u8> private_key(der, static_cast<usize>(length));
  const Hash salt = sha384({purpose, private_key, message});
  OPENSSL_clear_free(der, private_key.size());
  return salt;
}

// RFC 8017, B.2.1, applied in place.
void mask(std::span<u8> data, const Hash& seed) {
  usize at = 0;
  for (u8 counter = 0; at < data.size(); ++counter) {
    const u8 number[4] = {0, 0, 0, counter};
    for (const u8 byte : sha384({seed, number})) {
      if (at < data.size()) {
        data[at++] ^= byte;
      }
    }
  }
}

// RFC 8017, 9.1.1, for a modulus whose length is a multiple of 8 bits.
std::vector<u8> encode(usize bytes, const Hash& message, const Hash& salt) {
  constexpr u8 zeros[8] = {};
  const Hash hash = sha384({zeros, message, salt});
  std::vector<u8> encoded(bytes);
  const usize block = bytes - hash_bytes - 1;
  encoded[block - hash_bytes - 1] = 1;
  std::copy(salt.begin(), salt.end(), &encoded[block - hash_bytes]);
  mask(std::span(encoded).first(block), hash);
  encoded[0] &= 0x7F;
  std::copy(hash.begin(), hash.end(), &encoded[block]);
  encoded.back() = 0xBC;
  return encoded;
}

// AlgorithmIdentifiers as in AMD's certificates.
constexpr std::string_view algorithm_with_trailer =
    "304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108"
    "300d06096086480165030402020500a203020130a303020101";
constexpr std::string_view algorithm_without =
    "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108"
    "300d06096086480165030402020500a203020130";

}  // namespace

Algorithm pss_algorithm(Trailer trailer) {
  const auto der =
      from_hex(trailer == Trailer::written ? algorithm_with_trailer : algorithm_without);
  require(der.has_value());
  const u8* at = der->data();
  return Algorithm(required(d2i_X509_ALGOR(nullptr, &at, static_cast<long>(der->size()))));
}

std::vector<u8> sign_pss(EVP_PKEY& key, std::span<const u8> message) {
  const auto bytes = static_cast<usize>(EVP_PKEY_get_size(&key));
  require(EVP_PKEY_get_bits(&key) == static_cast<int>(bytes * 8) && bytes > 2 * hash_bytes + 2);
  const Hash hash = sha384({message});
  const std::vector<u8> encoded = encode(bytes, hash, salt_for(key, hash));
  const KeyContext context(required(EVP_PKEY_CTX_new(&key, nullptr)));
  require(EVP_PKEY_sign_init(context.get()) == 1);
  require(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1);
  std::vector<u8> signature(bytes);
  usize length = bytes;
  require(EVP_PKEY_sign(context.get(), signature.data(), &length, encoded.data(), encoded.size()) ==
              1 &&
          length == bytes);
  return signature;
}

}  // namespace softsnp::platform

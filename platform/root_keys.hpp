// The manufacturer's keys: of the root, of the signer of chips' keys, of the signer of loaded keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.hpp"
#include "platform/openssl_objects.hpp"

namespace softsnp::platform {

struct RootKeys {
  Key ark, ask, asvk;
};

// RSA-4096. Random: takes a second or so each.
RootKeys generate_root_keys();

// PKCS #8, not encrypted.
std::string key_to_pem(EVP_PKEY& key);
// Null if that is no RSA-4096 private key.
Key key_from_pem(std::string_view pem);

// Halves of the same key.
bool same_key(const EVP_PKEY& a, const EVP_PKEY& b);

}  // namespace softsnp::platform

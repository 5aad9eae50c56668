// Hexadecimal text, DER and PEM.
#pragma once

#include <openssl/asn1.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.hpp"
#include "platform/openssl_objects.hpp"

namespace softsnp::platform {

using Der = std::vector<u8>;

std::string to_hex(std::span<const u8> bytes);
// Both cases of digits. Nothing if anything else is in the text or a digit is missing.
std::optional<std::vector<u8>> from_hex(std::string_view text);

// i2d: one of libcrypto's i2d_ functions, which all work alike.
template <class T>
Der to_der(const T& object, int (*i2d)(const T*, u8**)) {
  u8* bytes = nullptr;
  const int length = i2d(&object, &bytes);
  require(length > 0);
  Der der(bytes, bytes + length);
  OPENSSL_free(bytes);
  return der;
}

inline constexpr const char* certificate_label = "CERTIFICATE";
inline constexpr const char* crl_label = "X509 CRL";

std::string to_pem(std::span<const u8> der, const char* label);
// The only block of the text must have the label. Nothing if not.
std::optional<Der> from_pem(std::string_view text, std::string_view label);

// Nothing if something is wrong or follows.
Certificate parse_certificate(std::span<const u8> der);
RevocationList parse_crl(std::span<const u8> der);

}  // namespace softsnp::platform

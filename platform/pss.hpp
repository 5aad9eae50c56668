// RSASSA-PSS as AMD signs certificates: SHA-384, MGF1 with SHA-384, salt of 48 bytes (firmware
// sheet 6; RFC 8017, 8.1). Deterministic, so that a platform's certificates repeat and runs with
// them do: the salt comes from key and message. libcrypto only takes salts from its random
// generator, so the encoding of 9.1.1 stands here, on its hashes and its RSA.
#pragma once

#include <span>
#include <vector>

#include "base/types.hpp"
#include "platform/openssl_objects.hpp"

namespace softsnp::platform {

// The AlgorithmIdentifier either names trailerField or leaves it at its default. Both mean 1.
enum class Trailer : u8 { written, omitted };

Algorithm pss_algorithm(Trailer trailer);

// key: RSA, private.
std::vector<u8> sign_pss(EVP_PKEY& key, std::span<const u8> message);

}  // namespace softsnp::platform

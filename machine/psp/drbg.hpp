// The secure processor's randomness: SHA-384 over (seed, label, counter). Deterministic, so that a
// run can be repeated bit for bit from its seed; the state is plain data.
#pragma once

#include <span>

#include "machine/psp/sha384.hpp"

namespace softsnp::psp {

// What a stream of random bytes is for; streams do not influence one another.
enum class RandomStream : u64 {
  secrets = 1,        // keys, identities, nonces: in order of use
  context_image = 2,  // what the host sees of a guest context page
  chip_id = 3,        // fixed for the life of the part
  chip_secret = 4,    // likewise
};

struct Drbg {
  u64 seed = 0;
  u64 counter = 0;
  friend constexpr bool operator==(const Drbg&, const Drbg&) = default;
};

// Fills to with the next bytes of the secrets stream.
void draw(Drbg& drbg, Sha384& sha, std::span<u8> to);
// Bytes of a stream that depend on (seed, index) alone.
void derive(u64 seed, RandomStream stream, u64 index, Sha384& sha, std::span<u8> to);

}  // namespace softsnp::psp

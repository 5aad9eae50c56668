// The guest's own changes to the identity map that the loader made: the C-bit of one 4 KiB page or
// of one 2 MiB page. Hardware sheet 2.1.
#pragma once

#include "base/types.hpp"

namespace softsnp::guest {

inline constexpr u64 c_bit = u64{1} << 51;

// Splits the 2 MiB mapping if needed and sets or clears the C-bit of the page's entry; flushes.
void set_encrypted(const volatile void* at, bool encrypted);
// The C-bit of the whole 2 MiB mapping at `at`, which must not have been split.
void set_encrypted_2m(const volatile void* at, bool encrypted);

}  // namespace softsnp::guest

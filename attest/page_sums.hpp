// SHA-384 of every page of a piece of memory.
#pragma once

#include <span>
#include <vector>

#include "arch/psp/page_info.hpp"
#include "base/types.hpp"

namespace softsnp::attest {

// Whole pages of 4 KiB. The sums do not depend on each other, so several threads share large
// pieces; the result is the same with any number.
std::vector<psp::Digest> page_sums(std::span<const u8> bytes);

}  // namespace softsnp::attest

// CONFIGURE_VTOM. SVSM sheet 4.7 (58019 chapter 6). Freestanding.
#pragma once

#include "base/bits.hpp"

namespace softsnp::svsm {

// RCX on entry.
namespace vtom_request {
inline constexpr u64 query = bit(0), enable = bit(1), load_cr3 = bit(2), load_rip = bit(3),
                     load_rsp = bit(4);
inline constexpr u64 reserved = mask_bits(11, 5), value = mask_bits(63, 12);
}  // namespace vtom_request

// RCX on return of a query; 0 = not supported. RDX lowest, R8 highest value.
namespace vtom_answer {
inline constexpr u64 supported = bit(1);
inline constexpr unsigned alignment_shift = 12;  // log2 in [19:12]
}  // namespace vtom_answer

}  // namespace softsnp::svsm

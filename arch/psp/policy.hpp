// The SNP guest policy. Firmware sheet 1.7 (56860 "Guest policy"). Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

namespace policy {
inline constexpr u64 smt = bit(16), reserved_one = bit(17), migrate_ma = bit(18), debug = bit(19),
                     single_socket = bit(20), cxl_allow = bit(21), mem_aes_256_xts = bit(22),
                     rapl_dis = bit(23), ciphertext_hiding_dram = bit(24),
                     page_swap_disable = bit(25);
// Bits that firmware 1.55 does not define.
inline constexpr u64 reserved_in_1_55 = mask_bits(63, 21);
// The same for builds that know PAGE_SWAP_DISABLE.
inline constexpr u64 reserved_with_page_swap_disable = reserved_in_1_55 & ~page_swap_disable;

constexpr u16 abi(u64 value) {
  return static_cast<u16>(value);  // major in [15:8], minor in [7:0]
}
}  // namespace policy

enum class PlatformState : u8 { uninit = 0, init = 1 };            // firmware sheet 1.4
enum class GuestState : u8 { init = 0, launch = 1, running = 2 };  // firmware sheet 1.4

}  // namespace softsnp::psp

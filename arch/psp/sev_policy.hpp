// The policy of legacy SEV and SEV-ES guests, and the states of platform and guest. Firmware sheet
// 7.2, 1.4 (55766 "Guest policy", "State machines"). Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

namespace sev_policy {
inline constexpr u32 nodbg = 1, noks = 2, es = 4, nosend = 8, domain = 0x10, sev = 0x20,
                     reserved = 0xFFC0;

constexpr u8 api_major(u32 policy) {
  return static_cast<u8>(get_bits(policy, 23, 16));
}
constexpr u8 api_minor(u32 policy) {
  return static_cast<u8>(get_bits(policy, 31, 24));
}
}  // namespace sev_policy

enum class SevPlatformState : u8 { uninit = 0, init = 1, working = 2 };
enum class SevGuestState : u8 {
  invalid = 0,
  lupdate = 1,
  lsecret = 2,
  running = 3,
  supdate = 4,
  rupdate = 5,
  sent = 6,
};

}  // namespace softsnp::psp

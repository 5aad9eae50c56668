// Registers and modes of a local APIC as plain data. APM2 16.3-16.8, 16.9-16.11 (x2APIC).
#pragma once

#include <array>
#include <optional>

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::kvm {

// Offsets in the xAPIC page; MSR 800h + offset/16 in x2APIC mode.
namespace apic_register {
inline constexpr u32 id = 0x20, version = 0x30, tpr = 0x80, apr = 0x90, ppr = 0xA0, eoi = 0xB0,
                     remote_read = 0xC0, ldr = 0xD0, dfr = 0xE0, svr = 0xF0, isr = 0x100,
                     tmr = 0x180, irr = 0x200, esr = 0x280, icr_low = 0x300, icr_high = 0x310,
                     lvt_timer = 0x320, lvt_thermal = 0x330, lvt_perf = 0x340, lvt_lint0 = 0x350,
                     lvt_lint1 = 0x360, lvt_error = 0x370, timer_initial = 0x380,
                     timer_current = 0x390, timer_divide = 0x3E0, self_ipi = 0x3F0;
}

namespace apic_base {
inline constexpr u64 default_address = 0xFEE00000, bsp = bit(8), x2apic = bit(10),
                     enabled = bit(11);
}

namespace lvt {
inline constexpr u32 masked = 1u << 16, mode_shift = 17, extint = 0x700;
enum class TimerMode : u8 { one_shot = 0, periodic = 1, tsc_deadline = 2 };
inline constexpr unsigned timer = 0, thermal = 1, perf = 2, lint0 = 3, lint1 = 4, error = 5,
                          count = 6;
}  // namespace lvt

enum class DeliveryMode : u8 {
  fixed = 0,
  lowest_priority = 1,
  smi = 2,
  nmi = 4,
  init = 5,
  startup = 6,
  extint = 7
};

struct LapicState {
  u32 id = 0;
  u64 base = apic_base::default_address | apic_base::enabled;
  u32 tpr = 0;
  u32 ldr = 0;
  u32 dfr = 0xFFFFFFFF;
  u32 svr = 0xFF;
  u32 esr = 0;
  u32 esr_pending = 0;
  u64 icr = 0;
  std::array<u32, lvt::count> lvts{};
  u32 timer_initial = 0;
  u32 timer_divide = 0;
  u64 tsc_deadline = 0;  // guest TSC; 0 = disarmed
  u64 timer_expiry = 0;  // host TSC; 0 = no timer runs
  std::array<u32, 8> isr{}, tmr{}, irr{};
  // Taken by the vCPU.
  bool nmi_request = false;
  bool init_request = false;
  std::optional<u8> startup_request;  // SIPI's vector
  std::optional<u64> icr_request;     // an IPI to be sent

  friend bool operator==(const LapicState&, const LapicState&) = default;
};

}  // namespace softsnp::kvm

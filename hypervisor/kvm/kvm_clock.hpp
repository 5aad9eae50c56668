// kvmclock: what a guest reads in the pages it names by MSR. linux-boot sheet 3.5; Linux
// Documentation/virt/kvm/x86/msr.rst.
#pragma once

#include "base/types.hpp"

namespace softsnp::kvm {

// struct pvclock_vcpu_time_info. version is odd only while the host writes.
struct ClockPage {
  u32 version = 0;
  u32 pad0 = 0;
  u64 tsc_timestamp = 0;
  u64 system_time = 0;  // ns since the VM was made, at tsc_timestamp
  u32 tsc_to_system_mul = 0;
  signed char tsc_shift = 0;
  u8 flags = 0;
  u16 pad1 = 0;
};
static_assert(sizeof(ClockPage) == 32);
inline constexpr u8 clock_tsc_stable = 1;

// struct pvclock_wall_clock: the time of day when system_time was 0.
struct WallClockPage {
  u32 version = 0;
  u32 sec = 0;
  u32 nsec = 0;
};
static_assert(sizeof(WallClockPage) == 12);

// 2026-01-01T00:00:00Z: every VM of ours starts then, so that runs repeat bit for bit.
inline constexpr u32 wall_clock_epoch = 1767225600;

// system_time and the scale at this guest TSC.
ClockPage make_clock_page(u64 guest_tsc, u64 frequency_hz, u32 version);
// What the guest computes from the page; the test's and our own check.
u64 clock_nanoseconds(const ClockPage& page, u64 guest_tsc);

}  // namespace softsnp::kvm

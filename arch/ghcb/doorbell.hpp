// The #HV doorbell page, one 4 KiB shared page per vCPU and VMPL that runs under restricted
// injection, and the requests around it. GHCB sheet 3.4, 3.8, 4.4 (56421 5.5). Freestanding.
#pragma once

#include "arch/svm/vmcb.hpp"
#include "arch/x86/registers.hpp"
#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::ghcb {

// What the host injects, and all that it may.
inline constexpr u64 hv_event =
    svm::event::make(static_cast<u8>(x86::Vector::hv), svm::event::Type::exception);
static_assert(hv_event == 0x8000031C);

// SW_EXITINFO1 of the doorbell-page event. Open: 64 bits arrive.
enum class DoorbellAction : u64 { get_preferred = 0, set = 1, query = 2, clear = 3 };
inline constexpr u64 no_doorbell_page = ~u64{0};

// Lower-VMPL interrupts under alternate injection (feature bit 9). Level-sensitive vectors and
// edges by status.vector or, with multiple_vectors, by the IRR.
struct VmplInterrupts {
  u32 status;
  u32 irr[7];  // vectors 32-255; 31 is a bit of status
  u32 isr[8];
};
static_assert(sizeof(VmplInterrupts) == 64);

namespace vmpl_status {
inline constexpr u32 vector = 0xFF, nmi = 1u << 8, machine_check = 1u << 9,
                     level_sensitive = 1u << 10, multiple_vectors = 1u << 14,
                     ipi_requested = 1u << 27, vector_31 = 1u << 31;
}

struct DoorbellPage {
  u8 vector;  // 0: the guest has taken the last one
  u8 flags;
  u8 no_eoi_required;
  u8 vmpl_events;  // bit n-1: interrupts of VMPL n have changed
  u8 reserved[60];
  VmplInterrupts vmpl[3];
};
static_assert(sizeof(DoorbellPage) == 0x100);

namespace doorbell {
// Of flags.
inline constexpr u8 nmi = 1u << 0, machine_check = 1u << 1, no_further_signal = 1u << 7;
inline constexpr unsigned vector_at = 0, flags_at = 1, no_eoi_at = 2, vmpl_events_at = 3,
                          vmpl_at = 0x40;
constexpr unsigned interrupts_at(unsigned vmpl) {
  return vmpl_at + (vmpl - 1) * sizeof(VmplInterrupts);
}
static_assert(interrupts_at(3) == 0xC0);
}  // namespace doorbell

// SW_EXITINFO1 of the events of feature bit 9 (GHCB sheet 3.4).
namespace alternate {
constexpr u64 vmpl(u64 info1) {
  return get_bits(info1, 19, 16);
}
constexpr u8 vector(u64 info1) {
  return static_cast<u8>(info1);
}
constexpr u8 tpr(u64 info1) {
  return static_cast<u8>(get_bits(info1, 15, 8));
}
inline constexpr u64 interrupts_enabled = bit(0), interrupt_shadow = bit(1);
constexpr u64 hand_over(u64 level, u8 task_priority, bool shadow, bool enabled) {
  return level << 16 | u64{task_priority} << 8 | (shadow ? interrupt_shadow : 0) |
         (enabled ? interrupts_enabled : 0);
}
constexpr u64 specific_eoi(u64 level, u8 which) {
  return level << 16 | which;
}
}  // namespace alternate

// #HV timer (feature bit 3). No public source defines the event's format; this is softsnp's
// reading, after the #HV IPI, which stands for a write of the x2APIC's ICR: SW_EXITINFO1 is what
// the guest would write to TSC_DEADLINE (its own TSC; 0 disarms), SW_EXITINFO2 the vector.
namespace hv_timer {
inline constexpr u64 first_vector = 31, last_vector = 255;
}

}  // namespace softsnp::ghcb

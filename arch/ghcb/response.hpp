// What SW_EXITINFO1/2 say when the guest runs again. GHCB sheet 1.6, 3.6 (56421 4.1). Freestanding.
#pragma once

#include "arch/svm/vmcb.hpp"
#include "arch/x86/registers.hpp"
#include "base/types.hpp"

namespace softsnp::ghcb {

// SW_EXITINFO1[31:0].
enum class Response : u32 { no_action = 0, raise_exception = 1, malformed_input = 2 };

// SW_EXITINFO2 with malformed_input.
enum class Malformed : u64 {
  not_registered = 1,
  invalid_usage = 2,
  invalid_scratch_area = 3,
  missing_input = 4,
  invalid_input = 5,
  invalid_event = 6,
};

constexpr const char* name(Malformed error) {
  switch (error) {
    case Malformed::not_registered:
      return "GHCB not registered";
    case Malformed::invalid_usage:
      return "invalid usage";
    case Malformed::invalid_scratch_area:
      return "invalid scratch area";
    case Malformed::missing_input:
      return "missing input";
    case Malformed::invalid_input:
      return "invalid input";
    case Malformed::invalid_event:
      return "invalid event";
  }
  return "unknown";
}

// SW_EXITINFO2 with raise_exception; guests accept #UD and #GP only.
inline constexpr u64 raise_gp =
    svm::event::make(static_cast<u8>(x86::Vector::gp), svm::event::Type::exception, true, 0);
inline constexpr u64 raise_ud =
    svm::event::make(static_cast<u8>(x86::Vector::ud), svm::event::Type::exception);
static_assert(raise_gp == 0x80000B0D && raise_ud == 0x80000306);

// SW_EXITINFO2[63:32] of the guest-request events (GHCB sheet 3.6); [31:0] is the firmware status.
enum class GuestRequestError : u32 {
  none = 0,
  invalid_length = 1,
  busy = 2,
  // KVM's own: guests take every other value for an error (Linux arch/x86/kvm/svm/sev.c).
  generic = ~u32{0},
};
constexpr u64 exit_info2(GuestRequestError error) {
  return u64{static_cast<u32>(error)} << 32;
}
static_assert(exit_info2(GuestRequestError::invalid_length) == 0x1'0000'0000 &&
              exit_info2(GuestRequestError::busy) == 0x2'0000'0000);

}  // namespace softsnp::ghcb

// The Calling Area, one page a vCPU. SVSM sheet 2 (58019 "Calling Area"). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svsm {

struct CallingArea {
  static constexpr u8 no_call = 0, call = 1;  // other values: INVALID_FORMAT
  u8 call_pending;
  u8 mem_available;
  u8 reserved_002[6];
  u8 buffer[page_size - 8];  // the guest's
};
static_assert(sizeof(CallingArea) == page_size);
static_assert(__builtin_offsetof(CallingArea, mem_available) == 1);
static_assert(__builtin_offsetof(CallingArea, buffer) == 8);

// A guest's read of it is answered by its own #VC handler (SVSM sheet 1.2).
inline constexpr u32 calling_area_msr = 0xC001F000;

}  // namespace softsnp::svsm

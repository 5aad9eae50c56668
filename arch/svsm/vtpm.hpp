// vTPM protocol. SVSM sheet 6 (58019 chapter 8, tables 15-17). Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

inline constexpr usize vtpm_buffer_bytes = page_size;

// Platform command; VTPM_QUERY's RCX has the bit of each that is on offer.
enum class VtpmPlatformCommand : u32 { send_command = 8 };
constexpr u64 vtpm_command_bit(VtpmPlatformCommand command) {
  return bit(static_cast<unsigned>(command));
}

struct __attribute__((packed)) VtpmRequestHeader {
  u32 platform_command;
  u8 locality;
  u32 command_size;
};
static_assert(sizeof(VtpmRequestHeader) == 9);
inline constexpr usize max_vtpm_command_bytes = vtpm_buffer_bytes - sizeof(VtpmRequestHeader);

struct VtpmResponseHeader {
  u32 size;
};
inline constexpr usize max_vtpm_response_bytes = vtpm_buffer_bytes - sizeof(VtpmResponseHeader);
static_assert(max_vtpm_command_bytes == 4087 && max_vtpm_response_bytes == 4092);

}  // namespace softsnp::svsm

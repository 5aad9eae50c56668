// A command as a row: what must hold before its handler runs. Firmware sheet 1.3, 1.6.
#pragma once

#include <span>

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

// Bits of the eight bytes at offset that must be zero.
struct MustBeZero {
  u8 offset;
  u64 mask;
};

// Sets of page and guest states.
constexpr u32 states() {
  return 0;
}
template <class... Rest>
constexpr u32 states(PageState first, Rest... rest) {
  return u32{1} << static_cast<unsigned>(first) | states(rest...);
}
inline constexpr u32 any_page_state = ~u32{0};

namespace guest {
inline constexpr u8 init = 1 << 0, launch = 1 << 1, running = 1 << 2, any = 7;
// With a state: INVALID_GUEST_STATE also for a guest whose IMIEn is set.
inline constexpr u8 not_migration_image = 0x80;
}  // namespace guest

enum class SizeRule : u8 {
  any,
  only_4k,
  flag_at_08,     // bit 0 of the u32 at 08 must agree with the RMP
  launch_update,  // the same, and only 4K for VMSA, SECRETS and CPUID pages
  flag_in_paddr,  // bit 0 of the address itself
};

// An sPA in the buffer and what must be true of its page.
struct PageOperand {
  u8 offset = 0;
  u32 states = any_page_state;
  SizeRule size = SizeRule::any;
  bool owned = false;      // by the command's guest
  u16 output_bytes = 0;    // non-zero: not a page but an output that must not cross one
  bool when_init = false;  // the state is checked in platform state INIT only
  Status no_memory = Status::invalid_address;  // the RMP covers the page, but it is not DRAM
};

enum class PlatformRule : u8 { any, uninit, init };

using Handler = Status (*)(Firmware&, Request&);
using ParameterCheck = Status (*)(const Request&);

struct CommandRow {
  static constexpr u8 no_context = 0xFF;
  Command command{};
  u16 bytes = 0;  // of the command buffer
  PlatformRule platform = PlatformRule::any;
  bool nothing_when_uninit = false;  // SHUTDOWN: SUCCESS, before the buffer is looked at
  u8 context = no_context;           // offset of gctx_paddr
  u8 guest_states = guest::any;
  bool active = false;  // the guest must have an ASID
  // A legacy command that writes its buffer: under SNP the buffer's pages are checked, and handed
  // back afterwards (firmware sheet 1.1). written_on_error: also with INVALID_LENGTH.
  bool writes_buffer = false;
  std::span<const MustBeZero> zero{};
  std::span<const PageOperand> pages{};
  ParameterCheck parameters = nullptr;  // ends the must-be-zero step
  Handler handler = nullptr;
  Status without_handler = Status::invalid_command;
};

// All commands, by ascending id.
std::span<const CommandRow> command_rows();
// Null for an id without a row.
const CommandRow* find_row(u32 id);

// The checks that all commands share, in the order of firmware sheet 1.6. Fills the request's
// context and pages.
Status common_checks(Firmware& firmware, const CommandRow& row, Request& request);

}  // namespace softsnp::psp

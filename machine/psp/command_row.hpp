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
  swap,           // flag at 28, and only 4K for metadata and VMSA pages
};

// Legacy guests by state. Firmware sheet 7.1 ("Platform / guest state").
namespace sev_guest {
constexpr u8 in(SevGuestState state) {
  return static_cast<u8>(1 << static_cast<unsigned>(state));
}
inline constexpr u8 any = 0xFF;
}  // namespace sev_guest

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
// State of the legacy platform. initialised: INIT or WORKING.
enum class SevRule : u8 { any, uninit, init, initialised, working };

// Whether a command's buffer goes back to the host (firmware sheet 1.1). on_length_error: also when
// the answer is INVALID_LENGTH, to tell the length.
enum class WriteBack : u8 { never, on_success, on_length_error };

using Handler = Status (*)(Firmware&, Request&);
using ParameterCheck = Status (*)(const Request&);
using PagesCheck = Status (*)(Firmware&, Request&);

struct CommandRow {
  static constexpr u8 no_context = 0xFF;
  Command command{};
  u16 bytes = 0;  // of the command buffer
  PlatformRule platform = PlatformRule::any;
  SevRule sev = SevRule::any;
  bool nothing_when_uninit = false;  // SHUTDOWN: SUCCESS, before the buffer is looked at
  u8 context = no_context;           // offset of gctx_paddr
  u8 guest_states = guest::any;
  bool active = false;     // the guest must have an ASID
  u8 handle = no_context;  // offset of a legacy guest's handle
  u8 sev_states = sev_guest::any;
  bool sev_active = false;  // the legacy guest must have an ASID
  // Under SNP, pages of a buffer that is written are checked, and handed back afterwards.
  WriteBack write_back = WriteBack::never;
  std::span<const MustBeZero> zero{};
  std::span<const PageOperand> pages{};
  ParameterCheck parameters = nullptr;  // ends the must-be-zero step
  PagesCheck pages_fit = nullptr;       // ends the page-state step: states that go together
  Handler handler = nullptr;
  Status without_handler = Status::invalid_command;
};

// The legacy commands (sev_command_table.cpp) and the SNP commands (command_table.cpp), each by
// ascending id; the legacy ones have the lower ids.
std::span<const CommandRow> sev_command_rows();
std::span<const CommandRow> snp_command_rows();
template <usize count>
constexpr bool ascending(const CommandRow (&rows)[count]) {
  for (usize at = 1; at < count; ++at) {
    if (number(rows[at - 1].command) >= number(rows[at].command)) {
      return false;
    }
  }
  return true;
}
// Null for an id without a row.
const CommandRow* find_row(u32 id);

// The checks that all commands share, in the order of firmware sheet 1.6. Fills the request's
// context and pages.
Status common_checks(Firmware& firmware, const CommandRow& row, Request& request);

}  // namespace softsnp::psp

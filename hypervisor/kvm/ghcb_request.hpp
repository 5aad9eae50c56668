// A page-protocol request, copied out of the GHCB once, and the checks before dispatch.
// GHCB sheet 1.3, 1.7.
#pragma once

#include <optional>

#include "arch/address.hpp"
#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/ghcb/response.hpp"

namespace softsnp::kvm {

// Registers that were not marked valid are 0; exit code and information are as found.
struct GhcbRequest {
  GuestPhysical ghcb;
  ghcb::ValidBitmap valid{};
  u32 usage = 0;
  u64 exit_code = 0, exit_info1 = 0, exit_info2 = 0;
  u64 rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0;
  u64 xcr0 = 0, scratch = 0;
  u8 cpl = 0;

  ghcb::Event event() const { return static_cast<ghcb::Event>(exit_code); }
};

GhcbRequest read_request(GuestPhysical at, const ghcb::Ghcb& page);

enum class GuestKind : u8 { sev_es, snp };
// nullopt: may be dispatched.
std::optional<ghcb::Malformed> check_request(const GhcbRequest& request, GuestKind guest);

}  // namespace softsnp::kvm

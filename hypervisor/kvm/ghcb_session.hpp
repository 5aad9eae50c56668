// A request of the page protocol while it is dealt with. GHCB sheet 1.3.
#pragma once

#include <array>

#include "hypervisor/kvm/ghcb_request.hpp"
#include "hypervisor/kvm/page_state_request.hpp"

namespace softsnp::kvm {

struct GhcbSession {
  bool open = false;  // request waits for its answer to be written back
  GhcbRequest request;
  u64 response1 = 0, response2 = 0;
  PageStateRequest page_state;
  std::array<u8, page_size> message{};  // the guest's message to the AMD-SP, copied
};

// KVM: ap_reset_hold_type.
enum class ResetHold : u8 { none, by_event, by_msr };

}  // namespace softsnp::kvm

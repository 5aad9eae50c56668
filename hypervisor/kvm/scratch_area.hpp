// Where SW_SCRATCH may point. GHCB sheet 1.4 (protocol version 2: inside the shared buffer).
#pragma once

#include <optional>

#include "arch/address.hpp"
#include "arch/ghcb/ghcb.hpp"

namespace softsnp::kvm {

// Bytes from scratch to the end of the shared buffer; nullopt: scratch is not inside it, or fewer
// than wanted bytes remain.
inline std::optional<u64> scratch_room(GuestPhysical ghcb, u64 scratch, u64 wanted) {
  const u64 first = ghcb.value() + ghcb::shared_buffer_offset;
  const u64 end = ghcb.value() + ghcb::shared_buffer_end;
  if (scratch < first || scratch >= end || end - scratch < wanted) {
    return std::nullopt;
  }
  return end - scratch;
}

}  // namespace softsnp::kvm

// Everything that decides how the secure processor will answer: a copyable value.
#pragma once

#include <map>
#include <optional>

#include "machine/psp/asid_table.hpp"
#include "machine/psp/config.hpp"
#include "machine/psp/drbg.hpp"
#include "machine/psp/endorsement_key.hpp"
#include "machine/psp/guest_context.hpp"
#include "machine/psp/sev_state.hpp"

namespace softsnp::psp {

// From SNP_VLEK_LOAD. Never made for less than the reported TCB.
struct LoadedVlek {
  TcbVersion made_for;
  VlekHashstick hashstick{};
  friend bool operator==(const LoadedVlek&, const LoadedVlek&) = default;
};

struct PspState {
  PlatformState platform = PlatformState::uninit;
  bool rmp_initialised = false;
  TcbVersion rmp_tcb;  // the TCB that initialised it
  TcbComponents current_tcb;
  TcbComponents committed_tcb;
  TcbComponents reported_tcb;
  FirmwareVersion committed_version;
  bool mask_chip_id = false;
  bool mask_chip_key = false;
  std::optional<LoadedVlek> vlek;
  u32 guest_count = 0;  // guests past LAUNCH_START
  AsidTable asids;
  std::map<SystemPhysical, GuestContext> guests;  // by context page
  SevState sev;
  Drbg drbg;
  u64 context_images = 0;  // written so far; makes each differ
};

}  // namespace softsnp::psp

// Everything that decides how the secure processor will answer: a copyable value.
#pragma once

#include <map>

#include "machine/psp/asid_table.hpp"
#include "machine/psp/config.hpp"
#include "machine/psp/drbg.hpp"
#include "machine/psp/guest_context.hpp"

namespace softsnp::psp {

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
  u32 guest_count = 0;  // guests past LAUNCH_START
  AsidTable asids;
  std::map<SystemPhysical, GuestContext> guests;  // by context page
  Drbg drbg;
  u64 context_images = 0;  // written so far; makes each differ
};

}  // namespace softsnp::psp

// One vCPU at VMPL2 that knows its SVSM: Calling Area, GHCB, page tables, console.
#pragma once

#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/hardware_processor.hpp"
#include "guest/runtime/svsm_client.hpp"
#include "guest/vmpl0/console.hpp"

namespace softsnp::guest {

struct Environment {
  HardwareProcessor& processor;
  SvsmLocation location;
  SvsmClient& svsm;
  GhcbClient& ghcb;
  svsm::Console& console;
};

// Once, at start. Ends the guest if there is no SVSM, with the reason that Linux gives.
Environment set_up(const u8* boot_params);
[[noreturn]] void power_off(Environment& environment);

}  // namespace softsnp::guest

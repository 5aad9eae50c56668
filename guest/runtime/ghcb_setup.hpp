// A page becomes the vCPU's GHCB. GHCB sheet 4.2.
#pragma once

#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/memory_conversion.hpp"
#include "guest/runtime/negotiation.hpp"

namespace softsnp::guest {

// SNP: rescinds the page at `at`, has it made shared by the MSR protocol (there is no GHCB yet),
// drops the C-bit, registers it and clears it. An SEV-ES guest's page has only its C-bit dropped.
struct GhcbSetup {
  Processor& processor;
  Validation& validation;
  PageMap& map;
  bool snp = true;

  Checked<void> run(ghcb::Ghcb& page, GuestPhysical at);
};
// Of a page that is shared already, as every further vCPU's may be: executed by that vCPU.
Checked<void> register_ghcb(Processor& processor, GuestPhysical at);

}  // namespace softsnp::guest

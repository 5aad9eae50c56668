// #VC of the instructions that the guest itself uses: CPUID, port I/O, RDMSR/WRMSR.
// GHCB sheet 3; hardware sheet 7.2.
#pragma once

#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {

// True if the event was handled and RIP advanced. The opcode at RIP must match the error code.
bool handle_vc(GhcbClient& client, Frame& frame);

}  // namespace softsnp::guest

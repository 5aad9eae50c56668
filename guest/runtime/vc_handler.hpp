// #VC of the instructions that the guest itself uses: CPUID, port I/O, RDMSR/WRMSR.
// GHCB sheet 3; hardware sheet 7.2.
#pragma once

#include "guest/runtime/exceptions.hpp"

namespace softsnp::guest {

// True if the event was handled and RIP advanced. The opcode at RIP must match the error code.
bool handle_vc(Frame& frame);

}  // namespace softsnp::guest

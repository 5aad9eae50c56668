// #VC: the hypervisor intercepts an instruction, the guest emulates it with as little help as it
// can. GHCB sheet 3; hardware sheet 7.2.
#pragma once

#include "guest/decode/instruction.hpp"
#include "guest/runtime/cpuid_table.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/lazy_acceptance.hpp"
#include "guest/runtime/vc_memory.hpp"

namespace softsnp::guest {

// What code at CPL 3 may do. MMIO it may never.
struct VcPolicy {
  bool user_ports = false;
  bool user_vmmcall = false;
  // SEV_STATUS.DebugSwap: DR7 is not intercepted by an honest hypervisor.
  bool debug_swap = false;
  bool secure_tsc = false;
};

// One vCPU's.
struct VcState {
  GhcbClient& ghcb;
  VcMemory& memory;
  const CpuidTable* cpuid = nullptr;     // null (SEV-ES): the hypervisor is asked
  LazyAcceptance* acceptance = nullptr;  // null: a page not validated is an attack
  VcPolicy policy{};
  bool has_svsm = false;
  GuestPhysical calling_area{};  // under an SVSM: what MSR C001_F000 reads as
  u64 dr7 = 0x400;
};

// Emulates the instruction and moves RIP on, or leaves the frame alone and says which exception the
// interrupted code gets instead, or why the guest must end. What is fatal for the kernel is a #GP
// for code at CPL 3: a process cannot end its guest. May be entered again while it runs.
Handled<void> handle_vc(VcState& state, Frame& frame);

}  // namespace softsnp::guest

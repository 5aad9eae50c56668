// What a core tells an observer, and the record of why hardware last said no. Observers look,
// never steer.
#pragma once

#include "arch/address.hpp"
#include "arch/snp/rmp.hpp"
#include "arch/svm/exit_code.hpp"
#include "machine/memory/rmp/access.hpp"

namespace softsnp::cpu {

// Which guest RMP instruction.
enum class RmpInstruction : u8 { pvalidate, rmpadjust, rmpquery };

// A guest's PVALIDATE, RMPADJUST or RMPQUERY that reached the RMP.
struct RmpInstructionEvent {
  RmpInstruction instruction = RmpInstruction::pvalidate;
  u64 rip = 0;
  GuestVirtual address;
  GuestPhysical gpa;
  SystemPhysical spa;
  PageSize size = PageSize::size_4k;
  u64 operand = 0;  // RDX
  memory::Rule denied = memory::Rule::none;
  snp::RmpResult result = snp::RmpResult::success;
  bool carry = false;
};

// An event taken through the guest's IDT.
struct Delivery {
  u8 vector = 0;
  bool has_error = false;
  bool external = false;  // interrupt or NMI, not an exception or INT n
  u32 error = 0;
  u64 rip = 0;  // of the interrupted instruction
  u64 cr2 = 0;
};

// Exceptions on the way to shutdown, oldest first; for explanations of a triple fault.
struct FaultChain {
  static constexpr unsigned limit = 8;
  unsigned count = 0;
  Delivery at[limit];
};

// Why VMRUN was refused, or an instruction of the guest was denied: a row of a table in words and
// the values it compared.
struct LastRefusal {
  const char* rule = "";  // empty: none yet
  u64 value = 0;
  u64 expected = 0;
};

// An instruction of the guest that drops translations.
enum class TlbFlush : u8 { page, non_global, all };

class Observer {
 public:
  virtual ~Observer() = default;
  // linear: of TlbFlush::page.
  virtual void tlb_flushed(TlbFlush, u64 /*linear*/, u64 /*rip*/) {}
  virtual void delivered(const Delivery&) {}
  // #VC raised in the guest. code: its error code.
  virtual void vc_raised(u64 /*code*/, u64 /*rip*/) {}
  virtual void npf(u64 /*exitinfo1*/, GuestPhysical, u64 /*rip*/) {}
  virtual void rmp_instruction(const RmpInstructionEvent&) {}
  virtual void vmrun(SystemPhysical /*vmcb*/) {}
  virtual void vmrun_refused(const LastRefusal&) {}
  virtual void vmexit(svm::ExitCode, u64 /*exitinfo1*/, u64 /*exitinfo2*/, u64 /*rip*/) {}
  virtual void triple_fault(const FaultChain&) {}
};

}  // namespace softsnp::cpu

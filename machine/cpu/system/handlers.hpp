// One function an instruction, filed by subject. Each checks in the order of its manual page
// (APM2, APM3), asks for its intercept where APM2 15.8-15.9 puts it, then acts.
#pragma once

#include "machine/cpu/exec/memory.hpp"
#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

struct Instruction {
  const Op& op;
  const OpInfo& info;
  SystemOp id = SystemOp::none;
};

using SystemHandler = Step (*)(System&, const Instruction&);
// Null: the processor does not have the instruction (#UD).
SystemHandler handler_of(SystemOp id);

namespace handlers {
// control_registers.cpp
Step mov_from_cr(System&, const Instruction&);
Step mov_to_cr(System&, const Instruction&);
Step clts(System&, const Instruction&);
Step lmsw(System&, const Instruction&);
Step smsw(System&, const Instruction&);
Step xgetbv(System&, const Instruction&);
Step xsetbv(System&, const Instruction&);
// debug_registers.cpp
Step mov_from_dr(System&, const Instruction&);
Step mov_to_dr(System&, const Instruction&);
// descriptor_tables.cpp
Step load_table(System&, const Instruction&);   // LGDT, LIDT
Step store_table(System&, const Instruction&);  // SGDT, SIDT
Step lldt(System&, const Instruction&);
Step ltr(System&, const Instruction&);
Step store_selector(System&, const Instruction&);  // SLDT, STR
// segment_ops.cpp
Step lar(System&, const Instruction&);
Step lsl(System&, const Instruction&);
Step verify(System&, const Instruction&);  // VERR, VERW
Step arpl(System&, const Instruction&);
Step mov_to_seg(System&, const Instruction&);
Step pop_seg(System&, const Instruction&);
Step load_far_pointer(System&, const Instruction&);
// far_transfer.cpp
Step far_jump(System&, const Instruction&);
Step far_call(System&, const Instruction&);
Step far_return(System&, const Instruction&);
// iret.cpp
Step iret(System&, const Instruction&);
// fast_calls.cpp
Step syscall(System&, const Instruction&);
Step sysret(System&, const Instruction&);
Step sysenter(System&, const Instruction&);
Step sysexit(System&, const Instruction&);
Step swapgs(System&, const Instruction&);
Step fs_gs_base(System&, const Instruction&);
// interrupt_ops.cpp
Step software_interrupt(System&, const Instruction&);  // INT n, INT3, INTO
Step int1(System&, const Instruction&);
// flag_ops.cpp
Step pushf(System&, const Instruction&);
Step popf(System&, const Instruction&);
Step cli(System&, const Instruction&);
Step sti(System&, const Instruction&);
Step clac_stac(System&, const Instruction&);
// io_ops.cpp
Step in_out(System&, const Instruction&);
Step ins_outs(System&, const Instruction&);
// msr_ops.cpp
Step rdmsr(System&, const Instruction&);
Step wrmsr(System&, const Instruction&);
// processor_ops.cpp
Step cpuid(System&, const Instruction&);
Step rdtsc(System&, const Instruction&);
Step rdtscp(System&, const Instruction&);
Step rdpmc(System&, const Instruction&);
Step rdpid(System&, const Instruction&);
Step random(System&, const Instruction&);  // RDRAND, RDSEED
Step hlt(System&, const Instruction&);
Step pause(System&, const Instruction&);
Step monitor(System&, const Instruction&);
Step mwait(System&, const Instruction&);
Step write_back(System&, const Instruction&);  // INVD, WBINVD, WBNOINVD
Step invlpg(System&, const Instruction&);
Step invlpga(System&, const Instruction&);
Step invpcid(System&, const Instruction&);
// svm_ops.cpp
Step vmmcall(System&, const Instruction&);
Step vmgexit(System&, const Instruction&);
Step svm_instruction(System&, const Instruction&);
// snp_ops.cpp
Step pvalidate(System&, const Instruction&);
Step rmpadjust(System&, const Instruction&);
Step rmpquery(System&, const Instruction&);
Step host_rmp(System&, const Instruction&);  // RMPUPDATE, PSMASH, RMPREAD
}  // namespace handlers

// Operands.
inline u64& reg(System& system, x86::Gpr gpr) {
  return system.state().gpr[static_cast<unsigned>(gpr)];
}
// Linear address of the memory operand; in legacy modes one that faults if the segment does not
// allow the access.
inline u64 linear_operand(System& system, const Instruction& in, u32 size = 1,
                          Access access = Access::read) {
  return effective<Addressing::general>(system.core(), &in.op, size, access);
}
inline bool memory_operand(const Instruction& in) {
  return in.op.extra != 0;
}
// Writes a register as an operand of bits does: 32 zero-extends, 16 keeps the rest.
void write_gpr(System& system, u8 gpr, u64 value, unsigned bits);
// Memory of 1..8 bytes, little-endian; false: core.fault is set.
bool load_sized(System& system, u64 linear, unsigned bytes, u64& out);
bool store_sized(System& system, u64 linear, unsigned bytes, u64 value);
// A 16-bit source that is a register or memory (selectors, LMSW).
bool read_word(System& system, const Instruction& in, u8 gpr, u16& out);

// Stack of the current CPL (or of another SS while it is being switched).
struct StackView {
  u64 base = 0;
  u64 mask = ~u64{0};
  u64 sp = 0;
  bool checked = false;  // against the limit of SS
};
StackView current_stack(System& system);
bool push(System& system, StackView& stack, unsigned bits, u64 value);
bool pop(System& system, StackView& stack, unsigned bits, u64& out);
// Writes sp back, only the bits the stack's size covers.
void commit(System& system, const StackView& stack);

}  // namespace softsnp::cpu

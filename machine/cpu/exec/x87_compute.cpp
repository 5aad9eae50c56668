// x87 instructions that compute: they run on the host's unit (host_x87.cpp).
#include "machine/cpu/exec/x87.hpp"

namespace softsnp::cpu::x87 {
namespace {

// What the memory form D8+group /reg does with its operand. l: reads, s: writes, that many bytes
// (t: ten); lower case letters of the control forms: e FLDENV, c FLDCW, E FNSTENV, C FNSTCW,
// r FRSTOR, S FNSAVE, w FNSTSW. APM3 table A-10.
struct MemoryForm {
  char kind;
  u8 size;
};
constexpr MemoryForm none{'-', 0}, l2{'l', 2}, l4{'l', 4}, l8{'l', 8}, l10{'l', 10}, s2{'s', 2},
    s4{'s', 4}, s8{'s', 8}, s10{'s', 10};
constexpr MemoryForm memory_forms[8][8] = {
    {l4, l4, l4, l4, l4, l4, l4, l4}, {l4, none, s4, s4, {'e', 0}, {'c', 2}, {'E', 0}, {'C', 2}},
    {l4, l4, l4, l4, l4, l4, l4, l4}, {l4, s4, s4, s4, none, l10, none, s10},
    {l8, l8, l8, l8, l8, l8, l8, l8}, {l8, s8, s8, s8, {'r', 0}, none, {'S', 0}, {'w', 2}},
    {l2, l2, l2, l2, l2, l2, l2, l2}, {l2, s2, s2, s2, l10, l8, s10, s8},
};
MemoryForm memory_form_of(unsigned opcode) {
  return memory_forms[opcode >> 8 & 7][opcode >> 3 & 7];
}

// With CR0.NE = 0 a recorded unmasked exception does not stop the next instruction; the host must
// not see it either. Masks everything for the time of the computation.
class Computation {
 public:
  explicit Computation(const FxState& fx) : fx_(fx), control_(fx.fcw) {
    if (pending(fx_)) {
      fx_.fcw |= fcw::masks;
    }
    fx_.fsw = static_cast<u16>(fx_.fsw & ~(fsw::summary | fsw::busy));
  }
  FxState& fx() { return fx_; }
  const FxState& finish() {
    fx_.fcw = control_;
    update_summary(fx_);
    return fx_;
  }
  // The instruction's own unmasked exceptions, but for precision, keep its operand in memory as it
  // was (which must be writable all the same). APM1 6.8.
  bool stored() const { return (fx_.fsw & ~fx_.fcw & 0x1F) == 0; }

 private:
  FxState fx_;
  u16 control_;
};

void note_operand(Core& core, const Op* op, u64 offset) {
  core.state.fx.fdp = offset;
  core.state.fx.fds = core.state.seg[op->seg].selector;
}

bool compute_memory(Core& core, const Op* op, unsigned opcode, u64 linear, u64 offset) {
  const MemoryForm form = memory_form_of(opcode);
  alignas(16) u8 operand[16] = {};
  if (form.kind == 'l' && !load_bytes(core, linear, operand, form.size)) {
    return stopped(fault_at(core, op));
  }
  Computation computation(core.state.fx);
  host::x87_memory(computation.fx(), opcode >> 8, opcode >> 3 & 7, operand);
  if (form.kind == 's' && !(computation.stored() ? store_bytes(core, linear, operand, form.size)
                                                 : probe_write_slow(core, linear, form.size))) {
    return stopped(fault_at(core, op));
  }
  core.state.fx = computation.finish();
  note_instruction(core, op, opcode);
  note_operand(core, op, offset);
  return true;
}

// FCOMI and its relatives: DB E8..F7, DF E8..F7.
bool sets_flags(unsigned opcode) {
  return (opcode & 0x300) == 0x300 && (opcode & 0xFF) >= 0xE8 && (opcode & 0xFF) <= 0xF7;
}

SOFTSNP_COLD void run_register(Core& core, const Op* op) {
  const unsigned opcode = opcode_of(core, op);
  Computation computation(core.state.fx);
  const auto before = static_cast<u8>(core.state.flags.pack());
  const u8 after = host::x87_register(computation.fx(), opcode >> 8, opcode & 63, before);
  core.state.fx = computation.finish();
  if (sets_flags(opcode)) {
    using namespace x86::rflags;
    core.state.flags.unpack(after & (zf | pf | cf));
  }
  note_instruction(core, op, opcode);
}

}  // namespace

const Op* compute_register(Core& core, const Op* op) {
  if (refused(core, Waiting::yes)) {
    return refuse(core, op, Waiting::yes);
  }
  run_register(core, op);
  return next(core, op);
}

Operand operand_of(const Core& core, const Op* op) {
  const MemoryForm form = memory_form_of(opcode_of(core, op));
  const bool write = form.kind == 's' || form.kind == 'E' || form.kind == 'C' || form.kind == 'S' ||
                     form.kind == 'w';
  u32 size = form.size;
  if (form.kind == 'e' || form.kind == 'E') {
    size = environment_bytes(core, op);
  } else if (form.kind == 'r' || form.kind == 'S') {
    size = environment_bytes(core, op) + 80;
  }
  return {size, write ? Access::write : Access::read};
}

bool memory_form(Core& core, const Op* op, u64 linear, u64 offset) {
  const unsigned opcode = opcode_of(core, op);
  const char kind = memory_form_of(opcode).kind;
  const bool non_waiting = kind == 'E' || kind == 'C' || kind == 'S' || kind == 'w';
  const Waiting waiting = non_waiting ? Waiting::no : Waiting::yes;
  if (refused(core, waiting)) {
    return stopped(refuse(core, op, waiting));
  }
  switch (kind) {
    case 'e':
      return load_environment(core, op, linear);
    case 'c':
      return load_control(core, op, linear);
    case 'E':
      return store_environment(core, op, linear);
    case 'C':
      return store_control(core, op, linear);
    case 'r':
      return restore(core, op, linear);
    case 'S':
      return save(core, op, linear);
    case 'w':
      return store_status(core, op, linear);
    case '-':
      return stopped(raise(core, op, x86::Vector::ud));
    default:
      return compute_memory(core, op, opcode, linear, offset);
  }
}

}  // namespace softsnp::cpu::x87

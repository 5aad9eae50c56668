#include <cstring>

#include "machine/cpu/exec/x87.hpp"

namespace softsnp::cpu::x87 {

void update_summary(FxState& fx) {
  fx.fsw = static_cast<u16>(fx.fsw & ~(fsw::summary | fsw::busy));
  if (pending(fx)) {
    fx.fsw |= fsw::summary | fsw::busy;
  }
}

void set_control(FxState& fx, u16 value) {
  fx.fcw = static_cast<u16>((value & fcw::writable) | fcw::fixed);
  update_summary(fx);
}

void set_status(FxState& fx, u16 value) {
  set_top(fx, (value & fsw::top_mask) >> fsw::top_shift);
  fx.fsw = value;
  update_summary(fx);
}

void set_top(FxState& fx, unsigned new_top) {
  const unsigned turn = (new_top - top(fx)) & 7;
  fx.fsw = static_cast<u16>((fx.fsw & ~fsw::top_mask) | new_top << fsw::top_shift);
  if (turn == 0) {
    return;
  }
  u8 turned[8][16];
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(turned[i], fx.st[(i + turn) & 7], 16);
  }
  std::memcpy(fx.st, turned, sizeof turned);
}

namespace {
// APM1 6.2.4: 0 valid, 1 zero, 2 special, 3 empty.
unsigned tag(const u8* value) {
  const unsigned exponent = load_le<u16>(value + 8) & 0x7FFF;
  const u64 significand = load_le<u64>(value);
  if (exponent == 0) {
    return significand == 0 ? 1 : 2;
  }
  return exponent == 0x7FFF || significand >> 63 == 0 ? 2 : 0;
}
}  // namespace

u16 full_tags(const FxState& fx) {
  unsigned tags = 0;
  for (unsigned reg = 0; reg < 8; ++reg) {
    const bool in_use = (fx.ftw >> reg & 1) != 0;
    const unsigned value = in_use ? tag(fx.st[(reg - top(fx)) & 7]) : 3;
    tags |= value << (2 * reg);
  }
  return static_cast<u16>(tags);
}

void set_full_tags(FxState& fx, u16 tags) {
  unsigned in_use = 0;
  for (unsigned reg = 0; reg < 8; ++reg) {
    in_use |= (tags >> (2 * reg) & 3) != 3 ? 1u << reg : 0;
  }
  fx.ftw = static_cast<u8>(in_use);
}

void initialise(FxState& fx) {
  set_top(fx, 0);
  fx.fcw = fcw::initial;
  fx.fsw = 0;
  fx.ftw = 0;
  fx.fop = 0;
  fx.fip = fx.fdp = 0;
  fx.fcs = fx.fds = 0;
}

const Op* refuse(Core& core, const Op* op, Waiting) {
  const bool available = (core.state.cr0 & (x86::cr0::em | x86::cr0::ts)) == 0;
  return raise(core, op, available ? x86::Vector::mf : x86::Vector::nm);
}

unsigned opcode_of(const Core& core, const Op* op) {
  const OpInfo& info = core.block->info[op - core.block->ops];
  // The escape opcode is the first byte D8..DF: no prefix has such a value.
  for (unsigned i = 0; i + 1 < info.length; ++i) {
    if ((info.bytes[i] & 0xF8) == 0xD8) {
      return (info.bytes[i] & 7u) << 8 | info.bytes[i + 1];
    }
  }
  return 0;
}

void note_instruction(Core& core, const Op* op, unsigned opcode) {
  FxState& fx = core.state.fx;
  fx.fop = static_cast<u16>(opcode);
  fx.fip = rip_of(core, op);
  fx.fcs = core.state.seg[static_cast<unsigned>(x86::Segment::cs)].selector;
}

}  // namespace softsnp::cpu::x87

// x87 control instructions: words, environments and whole states in memory. APM volume 1 6.2.8
// (formats), volume 5.
#include <cstring>

#include "machine/cpu/exec/x87.hpp"

namespace softsnp::cpu::x87 {
namespace {

// The four formats: 16 or 32 bits, protected (selectors) or real (linear addresses).
struct Format {
  bool wide, real;
  u32 bytes() const { return wide ? 28 : 14; }
};

Format format_of(const Core& core, const Op* op) {
  const OpInfo& info = core.block->info[op - core.block->ops];
  return {info.operand_bits != 16, !core.state.protected_mode() || core.state.v8086()};
}

struct Environment {
  u16 control = 0, status = 0, tags = 0;
  // As the protected formats name them; the real ones hold linear addresses.
  u64 instruction = 0, data = 0;
  u16 code_selector = 0, data_selector = 0, opcode = 0;
};

class Writer {
 public:
  Writer(u8* at, bool wide) : at_(at), wide_(wide) {}
  // The unused half of a 32-bit slot reads as ones.
  void word(u64 low, u64 high = 0xFFFF) {
    store_le<u16>(at_, static_cast<u16>(low));
    if (wide_) {
      store_le<u16>(at_ + 2, static_cast<u16>(high));
    }
    at_ += wide_ ? 4 : 2;
  }

 private:
  u8* at_;
  bool wide_;
};

void write_environment(const Environment& e, Format format, u8* to) {
  Writer out(to, format.wide);
  out.word(e.control);
  out.word(e.status);
  out.word(e.tags);
  const u64 ip = e.instruction, dp = e.data;
  if (!format.real) {
    out.word(ip, ip >> 16);
    out.word(e.code_selector, e.opcode);
    out.word(dp, dp >> 16);
    out.word(e.data_selector);
  } else if (format.wide) {
    out.word(ip, 0);
    const u64 high = (ip >> 16 & 0xFFFF) << 12 | e.opcode;
    out.word(high, high >> 16);
    out.word(dp, 0);
    const u64 data_high = (dp >> 16 & 0xFFFF) << 12;
    out.word(data_high, data_high >> 16);
  } else {
    out.word(ip);
    out.word((ip >> 16 & 0xF) << 12 | e.opcode);
    out.word(dp);
    out.word((dp >> 16 & 0xF) << 12);
  }
}

Environment read_environment(Format format, const u8* from) {
  const unsigned step = format.wide ? 4 : 2;
  const auto word = [&](unsigned i) { return load_le<u16>(from + i * step); };
  const auto slot = [&](unsigned i) {
    return format.wide ? load_le<u32>(from + i * step) : word(i);
  };
  Environment e{word(0), word(1), word(2), 0, 0, 0, 0, 0};
  if (!format.real) {
    e.instruction = slot(3);
    e.code_selector = word(4);
    e.opcode = format.wide ? static_cast<u16>(slot(4) >> 16 & 0x7FF) : 0;
    e.data = slot(5);
    e.data_selector = word(6);
  } else {
    e.instruction = word(3) | u64{slot(4) >> 12 & 0xFFFF} << 16;
    e.opcode = static_cast<u16>(slot(4) & 0x7FF);
    e.data = word(5) | u64{slot(6) >> 12 & 0xFFFF} << 16;
  }
  return e;
}

Environment environment_of(const FxState& fx, Format format) {
  Environment e{fx.fcw, fx.fsw, full_tags(fx), fx.fip, fx.fdp, fx.fcs, fx.fds, fx.fop};
  if (format.real) {
    e.instruction += u64{fx.fcs} << 4;
    e.data += u64{fx.fds} << 4;
  }
  return e;
}

void load(FxState& fx, const Environment& e) {
  set_control(fx, e.control);
  set_status(fx, e.status);
  set_full_tags(fx, e.tags);
  fx.fop = e.opcode;
  fx.fip = e.instruction;
  fx.fdp = e.data;
  fx.fcs = e.code_selector;
  fx.fds = e.data_selector;
}

constexpr u32 registers_bytes = 80;

}  // namespace

u32 environment_bytes(const Core& core, const Op* op) {
  return format_of(core, op).bytes();
}

bool load_control(Core& core, const Op* op, u64 linear) {
  u16 value;
  if (!cpu::load<u16>(core, linear, value)) {
    return stopped(fault_at(core, op));
  }
  set_control(core.state.fx, value);
  return true;
}

bool store_control(Core& core, const Op* op, u64 linear) {
  return store<u16>(core, linear, core.state.fx.fcw) || stopped(fault_at(core, op));
}

bool store_status(Core& core, const Op* op, u64 linear) {
  return store<u16>(core, linear, core.state.fx.fsw) || stopped(fault_at(core, op));
}

bool load_environment(Core& core, const Op* op, u64 linear) {
  const Format format = format_of(core, op);
  u8 image[28];
  if (!load_bytes(core, linear, image, format.bytes())) {
    return stopped(fault_at(core, op));
  }
  load(core.state.fx, read_environment(format, image));
  return true;
}

bool store_environment(Core& core, const Op* op, u64 linear) {
  const Format format = format_of(core, op);
  FxState& fx = core.state.fx;
  u8 image[28];
  write_environment(environment_of(fx, format), format, image);
  if (!store_bytes(core, linear, image, format.bytes())) {
    return stopped(fault_at(core, op));
  }
  set_control(fx, fx.fcw | fcw::masks);
  return true;
}

bool restore(Core& core, const Op* op, u64 linear) {
  const Format format = format_of(core, op);
  FxState& fx = core.state.fx;
  u8 image[28 + registers_bytes];
  if (!load_bytes(core, linear, image, format.bytes() + registers_bytes)) {
    return stopped(fault_at(core, op));
  }
  load(fx, read_environment(format, image));
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(fx.st[i], image + format.bytes() + 10 * i, 10);
  }
  return true;
}

bool save(Core& core, const Op* op, u64 linear) {
  const Format format = format_of(core, op);
  FxState& fx = core.state.fx;
  u8 image[28 + registers_bytes];
  write_environment(environment_of(fx, format), format, image);
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(image + format.bytes() + 10 * i, fx.st[i], 10);
  }
  if (!store_bytes(core, linear, image, format.bytes() + registers_bytes)) {
    return stopped(fault_at(core, op));
  }
  initialise(fx);
  return true;
}

const Op* fnstsw_ax(Core& core, const Op* op) {
  if (refused(core, Waiting::no)) {
    return refuse(core, op, Waiting::no);
  }
  core.state.gpr[0] = (core.state.gpr[0] & ~u64{0xFFFF}) | core.state.fx.fsw;
  return next(core, op);
}

const Op* fninit(Core& core, const Op* op) {
  if (refused(core, Waiting::no)) {
    return refuse(core, op, Waiting::no);
  }
  initialise(core.state.fx);
  return next(core, op);
}

const Op* fnclex(Core& core, const Op* op) {
  if (refused(core, Waiting::no)) {
    return refuse(core, op, Waiting::no);
  }
  constexpr u16 cleared = fsw::exceptions | fsw::stack_fault | fsw::summary | fsw::busy;
  core.state.fx.fsw = static_cast<u16>(core.state.fx.fsw & ~cleared);
  return next(core, op);
}

const Op* fwait(Core& core, const Op* op) {
  constexpr u64 off = x86::cr0::mp | x86::cr0::ts;
  if ((core.state.cr0 & off) == off) {
    return raise(core, op, x86::Vector::nm);
  }
  if (pending(core.state.fx) && (core.state.cr0 & x86::cr0::ne) != 0) {
    return raise(core, op, x86::Vector::mf);
  }
  return next(core, op);
}

const Op* ignored(Core& core, const Op* op) {
  return refused(core, Waiting::no) ? refuse(core, op, Waiting::no) : next(core, op);
}

}  // namespace softsnp::cpu::x87

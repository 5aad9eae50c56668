#include "machine/cpu/exec/sse_move.hpp"

namespace softsnp::cpu::sse {

const Op* movmskps(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  const Xmm& s = core.state.fx.xmm[op->r1];
  core.state.gpr[op->r0] = (s.lane[0] >> 31 & 1) | (s.lane[0] >> 63) << 1 |
                           (s.lane[1] >> 31 & 1) << 2 | (s.lane[1] >> 63) << 3;
  return next(core, op);
}

const Op* movmskpd(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  const Xmm& s = core.state.fx.xmm[op->r1];
  core.state.gpr[op->r0] = s.lane[0] >> 63 | (s.lane[1] >> 63) << 1;
  return next(core, op);
}

const Op* pmovmskb(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  core.state.gpr[op->r0] = host::byte_signs(get_xmm(core, op->r1));
  return next(core, op);
}

bool store_masked(Core& core, const Op* op, const u8* value, const u8* mask, unsigned bytes) {
  Op location = *op;
  location.base = static_cast<u8>(x86::Gpr::rdi);
  location.index = gpr_zero;
  location.scale = 0;
  location.disp = 0;
  const u64 linear = effective<Addressing::general>(core, &location, bytes, Access::write);
  const auto selected = [&](unsigned i) { return (mask[i] & 0x80) != 0; };
  for (unsigned i = 0; i < bytes; ++i) {
    if (selected(i) && !probe_write_slow(core, linear + i, 1)) {
      return false;
    }
  }
  for (unsigned i = 0; i < bytes; ++i) {
    if (selected(i) && !store<u8>(core, linear + i, value[i])) {
      return false;
    }
  }
  return true;
}

const Op* maskmovdqu(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  const auto* value = reinterpret_cast<const u8*>(&core.state.fx.xmm[op->r0]);
  const auto* mask = reinterpret_cast<const u8*>(&core.state.fx.xmm[op->r1]);
  return store_masked(core, op, value, mask, 16) ? next(core, op) : fault_at(core, op);
}

const Op* ldmxcsr_from(Core& core, const Op* op, u64 linear) {
  u32 value;
  if (!load<u32>(core, linear, value)) {
    return fault_at(core, op);
  }
  if ((value & ~host::mxcsr::valid) != 0) {
    return raise_error(core, op, x86::Vector::gp, 0);
  }
  core.state.fx.mxcsr = value;
  return next(core, op);
}

const Op* stmxcsr_to(Core& core, const Op* op, u64 linear) {
  return store<u32>(core, linear, core.state.fx.mxcsr) ? next(core, op) : fault_at(core, op);
}

namespace {

// APM4, EXTRQ and INSERTQ: a length of 0 is 64. Bits past 63 are undefined there; what Zen does:
// the field is taken modulo 64.
struct Field {
  unsigned length, index;
  u64 mask() const { return length == 0 ? ~u64{0} : (u64{1} << length) - 1; }
};
Field field(u64 length, u64 index) {
  return {static_cast<unsigned>(length & 63), static_cast<unsigned>(index & 63)};
}

const Op* extract_field(Core& core, const Op* op, Field f) {
  Xmm& d = core.state.fx.xmm[op->r0];
  d = Xmm{{d.lane[0] >> f.index & f.mask(), 0}};
  return next(core, op);
}
const Op* insert_field(Core& core, const Op* op, Field f) {
  Xmm& d = core.state.fx.xmm[op->r0];
  const u64 mask = f.mask() << f.index;
  const u64 bits = core.state.fx.xmm[op->r1].lane[0] << f.index;
  d = Xmm{{(d.lane[0] & ~mask) | (bits & mask), 0}};
  return next(core, op);
}

}  // namespace

const Op* extrq_immediate(Core& core, const Op* op) {
  return sse_off(core) ? sse_unavailable(core, op)
                       : extract_field(core, op, field(op->imm, op->extra));
}
const Op* extrq_register(Core& core, const Op* op) {
  const u64 s = core.state.fx.xmm[op->r1].lane[0];
  return sse_off(core) ? sse_unavailable(core, op) : extract_field(core, op, field(s, s >> 8));
}
const Op* insertq_immediate(Core& core, const Op* op) {
  return sse_off(core) ? sse_unavailable(core, op)
                       : insert_field(core, op, field(op->imm, op->extra));
}
const Op* insertq_register(Core& core, const Op* op) {
  const u64 s = core.state.fx.xmm[op->r1].lane[1];
  return sse_off(core) ? sse_unavailable(core, op) : insert_field(core, op, field(s, s >> 8));
}

}  // namespace softsnp::cpu::sse

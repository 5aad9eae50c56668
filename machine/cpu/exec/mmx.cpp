#include "machine/cpu/exec/mmx.hpp"

namespace softsnp::cpu::mmx {

// APM5, exception tables: #UD, #NM, #MF.
const Op* unavailable(Core& core, const Op* op) {
  if ((core.state.cr0 & x86::cr0::em) != 0) {
    return raise(core, op, x86::Vector::ud);
  }
  if ((core.state.cr0 & x86::cr0::ts) != 0) {
    return raise(core, op, x86::Vector::nm);
  }
  return raise(core, op, x86::Vector::mf);
}

const Op* sse_unavailable_mmx(Core& core, const Op* op) {
  return sse_off(core) ? sse_unavailable(core, op) : unavailable(core, op);
}

namespace {
// Not in the handler, whose tail call forbids locals with an address.
SOFTSNP_COLD bool store_selected(Core& core, const Op* op) {
  const u64 value = get(core, op->r0), mask = get(core, op->r1);
  return sse::store_masked(core, op, reinterpret_cast<const u8*>(&value),
                           reinterpret_cast<const u8*>(&mask), 8);
}
}  // namespace

const Op* PshufwBody::run(Core& core, const Op* op, u64 b) {
  u64 result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const u64 from = op->imm >> (2 * i) & 3;
    result |= (b >> (16 * from) & 0xFFFF) << (16 * i);
  }
  set(core, op->r0, result);
  return next(core, op);
}

const Op* PalignrBody::run(Core& core, const Op* op, u64 b) {
  const unsigned bits = static_cast<u8>(op->imm) * 8u;
  const auto both = static_cast<unsigned __int128>(get(core, op->r0)) << 64 | b;
  set(core, op->r0, bits >= 128 ? 0 : static_cast<u64>(both >> bits));
  return next(core, op);
}

const Op* PinsrwBody::run(Core& core, const Op* op, u64 b) {
  const unsigned shift = 16 * static_cast<unsigned>(op->imm & 3);
  const u64 value = get(core, op->r0);
  set(core, op->r0, (value & ~(u64{0xFFFF} << shift)) | (b & 0xFFFF) << shift);
  return next(core, op);
}

const Op* pextrw(Core& core, const Op* op) {
  if (off(core)) {
    return unavailable(core, op);
  }
  core.state.gpr[op->r0] = get(core, op->r1) >> (16 * (op->imm & 3)) & 0xFFFF;
  enter(core.state.fx);
  return next(core, op);
}

const Op* pmovmskb(Core& core, const Op* op) {
  if (off(core)) {
    return unavailable(core, op);
  }
  const Vector source{static_cast<long long>(get(core, op->r1)), 0};
  core.state.gpr[op->r0] = host::byte_signs(source);
  enter(core.state.fx);
  return next(core, op);
}

const Op* maskmovq(Core& core, const Op* op) {
  if (off(core)) {
    return unavailable(core, op);
  }
  if (!store_selected(core, op)) {
    return fault_at(core, op);
  }
  enter(core.state.fx);
  return next(core, op);
}

const Op* emms(Core& core, const Op* op) {
  if (off(core)) {
    return unavailable(core, op);
  }
  enter(core.state.fx);
  core.state.fx.ftw = 0;
  return next(core, op);
}

const Op* movq2dq(Core& core, const Op* op) {
  if (sse_off(core) || off(core)) {
    return sse_unavailable_mmx(core, op);
  }
  core.state.fx.xmm[op->r0] = Xmm{{get(core, op->r1), 0}};
  enter(core.state.fx);
  return next(core, op);
}

const Op* movdq2q(Core& core, const Op* op) {
  if (sse_off(core) || off(core)) {
    return sse_unavailable_mmx(core, op);
  }
  set(core, op->r0, core.state.fx.xmm[op->r1].lane[0]);
  return next(core, op);
}

}  // namespace softsnp::cpu::mmx

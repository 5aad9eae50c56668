#include "machine/cpu/exec/sse_operate.hpp"

namespace softsnp::cpu {

const Op* sse_unavailable(Core& core, const Op* op) {
  const bool undefined =
      (core.state.cr0 & x86::cr0::em) != 0 || (core.state.cr4 & x86::cr4::osfxsr) == 0;
  return raise(core, op, undefined ? x86::Vector::ud : x86::Vector::nm);
}

const Op* sse_exception(Core& core, const Op* op) {
  const bool reported = (core.state.cr4 & x86::cr4::osxmmexcpt) != 0;
  return raise(core, op, reported ? x86::Vector::xf : x86::Vector::ud);
}

namespace sse {

namespace {
// Both shift the register as one 128-bit number; counts over 15 leave zero.
unsigned shift_bits(const Op* op) {
  const auto bytes = static_cast<u8>(op->imm);
  return bytes > 15 ? 128u : bytes * 8u;
}
using Wide = unsigned __int128;
}  // namespace

const Op* shift_bytes_left(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  Xmm& xmm = core.state.fx.xmm[op->r0];
  const unsigned bits = shift_bits(op);
  store_le(&xmm, bits == 128 ? Wide{0} : load_le<Wide>(&xmm) << bits);
  return next(core, op);
}

const Op* shift_bytes_right(Core& core, const Op* op) {
  if (sse_off(core)) [[unlikely]] {
    return sse_unavailable(core, op);
  }
  Xmm& xmm = core.state.fx.xmm[op->r0];
  const unsigned bits = shift_bits(op);
  store_le(&xmm, bits == 128 ? Wide{0} : load_le<Wide>(&xmm) >> bits);
  return next(core, op);
}

// The absolute value saturates at 16, so a saturated 64-bit length (REX.W) fits the 32-bit form.
u32 string_length(const Core& core, const Op* op, unsigned gpr) {
  const u64 value = core.state.gpr[gpr];
  const OpInfo& info = core.block->info[op - core.block->ops];
  if ((info.prefixes & prefix::rex_w) == 0) {
    return static_cast<u32>(value);
  }
  const auto length = static_cast<i64>(value);
  return static_cast<u32>(length > 16 ? 16 : length < -16 ? -16 : length);
}

void finish_string(Core& core, const host::StringResult& result, bool index) {
  using namespace x86::rflags;
  core.state.flags.unpack((result.carry ? cf : 0) | (result.zero ? zf : 0) |
                          (result.sign ? sf : 0) | (result.overflow ? of : 0));
  if (index) {
    core.state.gpr[1] = result.index;
  } else {
    set_xmm(core, 0, result.mask);
  }
}

}  // namespace sse
}  // namespace softsnp::cpu

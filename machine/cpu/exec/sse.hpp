// What all SSE handlers share: availability, operands, the floating-point exception protocol.
// APM volume 1 chapter 4, volume 2 8.2.16 (#XF).
#pragma once

#include "machine/cpu/exec/host_fp.hpp"
#include "machine/cpu/exec/memory.hpp"

namespace softsnp::cpu {

using host::Vector;

// #UD or #NM, in this order. APM4, exception tables.
SOFTSNP_COLD const Op* sse_unavailable(Core& core, const Op* op);
// #XF, or #UD without CR4.OSXMMEXCPT; flags are already in MXCSR.
SOFTSNP_COLD const Op* sse_exception(Core& core, const Op* op);
// Runs function under the guest's MXCSR when its controls are not the initial ones; the result is
// left in Core::slow_value (a handler's local must not be passed out: its tail call would become a
// call). False: an unmasked exception, the result is not to be written.
SOFTSNP_COLD bool compute_slow(Core& core, host::FpFunction function, host::Range range, Vector a,
                               Vector b);

SOFTSNP_INLINE bool sse_off(const Core& core) {
  return ((core.state.cr0 & (x86::cr0::em | x86::cr0::ts)) |
          (~core.state.cr4 & x86::cr4::osfxsr)) != 0;
}

SOFTSNP_INLINE Vector get_xmm(const Core& core, unsigned number) {
  return load_le<Vector>(&core.state.fx.xmm[number]);
}
SOFTSNP_INLINE void set_xmm(Core& core, unsigned number, Vector value) {
  store_le(&core.state.fx.xmm[number], value);
}

// Whether a 16-byte operand at linear is refused (#GP(0)): MXCSR.MM permits loads of arithmetic
// instructions to be misaligned, but not aligned moves. APM1 4.2.2.
enum class Alignment : u8 { none, unless_permitted, always };
template <Alignment Rule>
SOFTSNP_INLINE bool misaligned(const Core& core, u64 linear) {
  if constexpr (Rule == Alignment::none) {
    return false;
  } else {
    return (linear & 15) != 0 &&
           (Rule == Alignment::always || (core.state.fx.mxcsr & host::mxcsr::misaligned) == 0);
  }
}

// The operand of size bytes, zero-extended.
template <unsigned Bytes>
SOFTSNP_INLINE bool load_vector(Core& core, u64 linear, Vector& out) {
  if constexpr (Bytes == 16) {
    return load<Vector>(core, linear, out);
  } else if constexpr (Bytes == 8) {
    u64 value = 0;
    const bool ok = load<u64>(core, linear, value);
    out = Vector{static_cast<long long>(value), 0};
    return ok;
  } else if constexpr (Bytes == 4) {
    u32 value = 0;
    const bool ok = load<u32>(core, linear, value);
    out = Vector{value, 0};
    return ok;
  } else {
    static_assert(Bytes == 2);
    u16 value = 0;
    const bool ok = load<u16>(core, linear, value);
    out = Vector{value, 0};
    return ok;
  }
}

// False: an unmasked exception was raised.
SOFTSNP_INLINE bool compute(Core& core, host::FpFunction function, host::Range range, Vector a,
                            Vector b, Vector& result) {
  u32& control = core.state.fx.mxcsr;
  if ((control & ~host::mxcsr::flags) == host::mxcsr::initial) [[likely]] {
    result = function(a, b, control);
    return true;
  }
  if (!compute_slow(core, function, range, a, b)) {
    return false;
  }
  result = load_le<Vector>(core.slow_value);
  return true;
}

}  // namespace softsnp::cpu

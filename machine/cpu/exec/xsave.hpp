// FXSAVE, XSAVE and their family. APM volume 2 11.4.4, 11.5, volume 4 and 3 (the instructions).
// XCR0 here names x87 and SSE only: no machine offers AVX.
#pragma once

#include "machine/cpu/exec/x87.hpp"

namespace softsnp::cpu::xsave {

inline constexpr u32 fx_bytes = 512, header_bytes = 64, area_bytes = fx_bytes + header_bytes;
inline constexpr u64 x87_component = 1, sse_component = 2, components = 3, compacted = u64{1} << 63;

// The parts of the image of FXSAVE. wide: REX.W (64-bit pointers).
void write_x87(const FxState& fx, bool wide, u8* image);
void write_xmm(const FxState& fx, unsigned count, u8* image);
void write_mxcsr(const FxState& fx, u8* image);
void read_x87(FxState& fx, bool wide, const u8* image);
void read_xmm(FxState& fx, unsigned count, const u8* image);
// Whether an image's MXCSR has reserved bits set.
bool mxcsr_refused(const u8* image);
void initialise_xmm(FxState& fx, unsigned count);
// XMM registers that the current mode reaches.
unsigned xmm_count(const Core& core);

enum class Kind : u8 { fxsave, fxrstor, xsave, xsaveopt, xsavec, xsaves, xrstor, xrstors };
SOFTSNP_COLD bool execute(Core& core, const Op* op, u64 linear, Kind kind, bool wide);
bool fxsave(Core& core, const Op* op, u64 linear, bool wide);
bool fxrstor(Core& core, const Op* op, u64 linear, bool wide);

inline constexpr bool is_store(Kind kind) {
  return kind != Kind::fxrstor && kind != Kind::xrstor && kind != Kind::xrstors;
}
template <Kind K, bool Wide>
struct Memory {
  template <Addressing A>
  static const Op* at(Core& core, const Op* op) {
    constexpr u32 bytes = K == Kind::fxsave || K == Kind::fxrstor ? fx_bytes : area_bytes;
    constexpr Access access = is_store(K) ? Access::write : Access::read;
    const u64 linear = effective<A>(core, op, bytes, access);
    return x87::finish(core, op, execute(core, op, linear, K, Wide));
  }
};

}  // namespace softsnp::cpu::xsave

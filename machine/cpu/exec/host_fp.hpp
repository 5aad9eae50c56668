// The seam to the host's own floating-point and vector units. An x86-64 host runs the guest's
// SSE and x87 arithmetic on its own units (host_x86.hpp, host_x87.cpp), which is exact by
// construction; another host adds a header with the same names.
#pragma once

#include "base/types.hpp"
#include "machine/cpu/exec/state.hpp"

namespace softsnp::cpu::host {

// One XMM register as a value.
using Vector = long long __attribute__((vector_size(16)));
static_assert(sizeof(Vector) == sizeof(Xmm));

// MXCSR, APM1 4.2.2.
namespace mxcsr {
inline constexpr u32 flags = 0x3F, denormals_are_zero = 0x40, mask_shift = 7, masks = 0x1F80,
                     flush_to_zero = 0x8000, misaligned = 0x20000, valid = 0x2FFFF,
                     initial = 0x1F80;
inline constexpr u32 invalid = 1, denormal = 2, divide_by_zero = 4, overflow = 8, underflow = 16,
                     precision = 32;
}  // namespace mxcsr

// A computation under an MXCSR with all exceptions masked; raised flags are added to it.
using FpFunction = Vector (*)(Vector, Vector, u32&);

// What an operation does to numbers, as far as a result may leave its format's range; bits and
// count of the result's elements.
enum class Arithmetic : u8 { none, sum, horizontal_sum, product, quotient, narrowing };
struct Range {
  Arithmetic arithmetic = Arithmetic::none;
  u8 bits = 0, count = 0;
};

// Leaves the host's own control register as the compiler expects it.
void restore_host_mxcsr();

// x87. The instruction (opcode D8+group, ModRM 11b) or (memory form, ModRM.reg, operand at
// operand) runs on fx. No exception flag that fx.fcw unmasks may be set. Pointers (fop, fip, fdp)
// and fx.mxcsr stay. ah: SF ZF AF PF CF as LAHF has them, in and out.
u8 x87_register(FxState& fx, unsigned group, unsigned low6, u8 ah);
void x87_memory(FxState& fx, unsigned group, unsigned reg, void* operand);

}  // namespace softsnp::cpu::host

#if defined(__x86_64__)
#include "machine/cpu/exec/host_x86.hpp"
#else
#error "no floating-point seam for this host yet"
#endif

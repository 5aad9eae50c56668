// SSE arithmetic under other than the initial MXCSR controls, and unmasked exceptions. The host
// computes with all exceptions masked; what an unmasked one changes is worked out here.
// APM volume 1 4.10 (SIMD floating-point exceptions), volume 4 2.
#include "machine/cpu/exec/sse_exact.hpp"
#include "machine/cpu/exec/sse_operate.hpp"

namespace softsnp::cpu {
namespace {

using namespace host::mxcsr;

// One element's operands, alone in vectors whose other elements compute exactly and quietly.
struct Isolated {
  Vector a, b;
  u64 left, right;  // the operands as bit patterns
};

template <class Bits>
Vector filled(Bits value, unsigned at, Bits rest) {
  Vector v;
  for (unsigned i = 0; i < sizeof v / sizeof(Bits); ++i) {
    store_le<Bits>(reinterpret_cast<u8*>(&v) + i * sizeof(Bits), i == at ? value : rest);
  }
  return v;
}
template <class Bits>
Bits element(const Vector& v, unsigned at) {
  return load_le<Bits>(reinterpret_cast<const u8*>(&v) + at * sizeof(Bits));
}

template <class Bits>
Isolated isolate(host::Arithmetic arithmetic, const Vector& a, const Vector& b, unsigned at) {
  using host::Arithmetic;
  constexpr unsigned count = 16 / sizeof(Bits);
  constexpr Bits one = sizeof(Bits) == 4 ? Bits{0x3F800000} : static_cast<Bits>(0x3FF0ull << 48);
  if (arithmetic == Arithmetic::horizontal_sum) {
    const Vector& from = at < count / 2 ? a : b;
    const unsigned first = at * 2 % count;
    const Bits left = element<Bits>(from, first), right = element<Bits>(from, first + 1);
    Vector pair = filled<Bits>(left, first, 0);
    store_le<Bits>(reinterpret_cast<u8*>(&pair) + (first + 1) * sizeof(Bits), right);
    return {at < count / 2 ? pair : Vector{}, at < count / 2 ? Vector{} : pair, left, right};
  }
  const Bits rest = arithmetic == Arithmetic::sum ? 0 : one;
  const Bits left = element<Bits>(arithmetic == Arithmetic::narrowing ? b : a, at);
  const Bits right = element<Bits>(b, at);
  return {filled<Bits>(element<Bits>(a, at), at, rest), filled<Bits>(right, at, rest), left, right};
}

bool subnormal(const Vector& result, unsigned at, unsigned bits) {
  return bits == 32 ? is_subnormal<u32>(element<u32>(result, at))
                    : is_subnormal<u64>(element<u64>(result, at));
}

// Flags that element at raises when unmasked exceptions are looked at: an unmasked underflow is
// signalled for a tiny result even if exact, and beside an unmasked overflow or underflow the
// precision flag speaks of the result with unbounded exponent. APM1 4.10.
u32 flags_of(host::FpFunction function, host::Range range, const Vector& a, const Vector& b,
             unsigned at, u32 control, u32 unmasked) {
  const bool wide = range.bits == 64 || range.arithmetic == host::Arithmetic::narrowing;
  const Isolated one =
      wide ? isolate<u64>(range.arithmetic, a, b, at) : isolate<u32>(range.arithmetic, a, b, at);
  const Vector result = function(one.a, one.b, control);
  u32 raised = control & flags;
  if ((raised & unmasked & underflow) != 0 ||
      ((unmasked & underflow) != 0 && subnormal(result, at, range.bits))) {
    raised |= underflow;
  }
  if ((raised & unmasked & (overflow | underflow)) != 0) {
    const bool dropped = (control & denormals_are_zero) != 0;
    raised &= ~precision;
    raised |=
        inexact(range, one.left, one.right, dropped, (raised & overflow) != 0) ? precision : 0;
  }
  return raised;
}

}  // namespace

bool compute_slow(Core& core, host::FpFunction function, host::Range range, Vector a, Vector b) {
  const u32 guest = core.state.fx.mxcsr;
  const u32 unmasked = ~guest >> mask_shift & flags;
  u32 controls = (guest & 0xFFFF & ~flags) | masks;
  if ((unmasked & underflow) != 0) {
    controls &= ~flush_to_zero;  // flushing is the masked response to underflow
  }
  u32 control = controls;
  const Vector result = function(a, b, control);
  u32 raised = control & flags;
  constexpr u32 before = invalid | denormal | divide_by_zero;
  if ((raised & unmasked & before) != 0) {
    // Found before anything is computed: no flag of the computation is set.
    raised &= before;
  } else if ((unmasked & (overflow | underflow)) != 0) {
    for (unsigned i = 0; i < range.count; ++i) {
      raised = (i == 0 ? 0 : raised) | flags_of(function, range, a, b, i, controls, unmasked);
    }
  }
  host::restore_host_mxcsr();
  core.state.fx.mxcsr = guest | raised;
  store_le(core.slow_value, result);
  return (raised & unmasked) == 0;
}

namespace sse {

bool dot_product_slow(Core& core, u8 imm, bool single, Vector a, Vector b) {
  const unsigned count = single ? 4 : 2;
  const unsigned bytes = 16 / count;
  const auto clear = [&](Vector& v, unsigned from) {
    for (unsigned i = 0; i < count; ++i) {
      if ((imm >> (from + i) & 1) == 0) {
        __builtin_memset(reinterpret_cast<u8*>(&v) + i * bytes, 0, bytes);
      }
    }
  };
  clear(a, 4);
  clear(b, 4);
  const auto step = [&](auto operation, const Vector& x, const Vector& y) {
    using F = decltype(operation);
    return compute_slow(core, &F::run, F::range, x, y);
  };
  if (!(single ? step(host::mulps{}, a, b) : step(host::mulpd{}, a, b))) {
    return false;
  }
  for (unsigned left = count; left > 1; left /= 2) {
    const auto sum = load_le<Vector>(core.slow_value);
    if (!(single ? step(host::haddps{}, sum, sum) : step(host::haddpd{}, sum, sum))) {
      return false;
    }
  }
  auto result = load_le<Vector>(core.slow_value);
  clear(result, 0);
  store_le(core.slow_value, result);
  return true;
}

}  // namespace sse
}  // namespace softsnp::cpu

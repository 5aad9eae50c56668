// The sixteen conditions of Jcc, SETcc, CMOVcc. In encoding order (APM3 A.1): O, NO, B,
// NB, Z, NZ, BE, NBE, S, NS, P, NP, L, NL, LE, NLE.
#pragma once

#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {

template <unsigned C>
SOFTSNP_INLINE bool condition(const LazyFlags& flags) {
  static_assert(C < 16);
  bool value = false;
  if constexpr (C / 2 == 0) {
    value = flags.of();
  } else if constexpr (C / 2 == 1) {
    value = flags.cf();
  } else if constexpr (C / 2 == 2) {
    value = flags.zf();
  } else if constexpr (C / 2 == 3) {
    value = flags.cf() || flags.zf();
  } else if constexpr (C / 2 == 4) {
    value = flags.sf();
  } else if constexpr (C / 2 == 5) {
    value = flags.pf();
  } else {
    // SF != OF, all in bit 63: result, SF delta (bit 0), carry out, carry in.
    const u64 carries = flags.carries;
    const u64 less = flags.result ^ (carries << 63) ^ carries ^ (carries << 1);
    value = static_cast<i64>(less) < 0;
    if constexpr (C / 2 == 7) {
      value = value || flags.zf();
    }
  }
  return value != (C % 2 != 0);
}

}  // namespace softsnp::cpu

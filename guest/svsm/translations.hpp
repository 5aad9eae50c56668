// After permissions were reduced: old translations of any processor must be gone before the result
// is reported. Freestanding.
#pragma once

#include "guest/svsm/platform.hpp"
#include "guest/svsm/state.hpp"

namespace softsnp::svsm {

// PCPU_ID 0 makes the processor that enters a VMSA next drop its translations (hardware sheet 6.4).
// A VMSA that runs is in use: its write waits for that processor's exit. INVLPGB is not offered.
void flush_translations(Platform& platform, const State& state);

}  // namespace softsnp::svsm

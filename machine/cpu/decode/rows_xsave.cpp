// FXSAVE, XSAVE and their family. APM volumes 3 and 4.
#include "machine/cpu/decode/rows_sse.hpp"
#include "machine/cpu/exec/xsave.hpp"

namespace softsnp::cpu {
namespace {

using xsave::Kind;
#define SOFTSNP_BOTH(MNEMONIC, kind)                                                    \
  memory_row<xsave::Memory<Kind::kind, false>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::m, 0), \
      memory_row<xsave::Memory<Kind::kind, true>>(ZYDIS_MNEMONIC_##MNEMONIC##64, forms::m, 0),

constexpr Row table[] = {SOFTSNP_BOTH(FXSAVE, fxsave) SOFTSNP_BOTH(FXRSTOR, fxrstor)
                             SOFTSNP_BOTH(XSAVE, xsave) SOFTSNP_BOTH(XSAVEOPT, xsaveopt)
                                 SOFTSNP_BOTH(XSAVEC, xsavec) SOFTSNP_BOTH(XSAVES, xsaves)
                                     SOFTSNP_BOTH(XRSTOR, xrstor) SOFTSNP_BOTH(XRSTORS, xrstors)};

}  // namespace

std::span<const Row> rows_xsave() {
  return table;
}

}  // namespace softsnp::cpu

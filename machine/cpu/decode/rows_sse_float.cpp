// Floating-point arithmetic, comparisons and conversions on XMM registers. APM volume 4.
#include "machine/cpu/decode/rows_sse.hpp"
#include "machine/cpu/exec/sse_operate.hpp"

namespace softsnp::cpu {
namespace {

using namespace sse;

#define SOFTSNP_FLOAT(MNEMONIC, name, size, arithmetic, bits, count)      \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_x, 0, &Float<host::name>::reg), \
      memory_row<Float<host::name>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m, 0),
#define SOFTSNP_FLOAT_IMMEDIATE(MNEMONIC, name, size, mask)                          \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_x_i, 0, &FloatImmediate<host::name>::reg), \
      memory_row<FloatImmediate<host::name>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m_i, 0),
#define SOFTSNP_TO_INTEGER(MNEMONIC, name, size)                                         \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::r_x, 32, &ToInteger<host::name<u32>>::reg),      \
      memory_row<ToInteger<host::name<u32>>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::r_m, 32), \
      row(ZYDIS_MNEMONIC_##MNEMONIC, forms::r_x, 64, &ToInteger<host::name<u64>>::reg),  \
      memory_row<ToInteger<host::name<u64>>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::r_m, 64),
#define SOFTSNP_FROM_INTEGER(MNEMONIC, name)                                                  \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_r, 0, &FromInteger<host::name<u32>>::reg, 32),      \
      memory_row<FromInteger<host::name<u32>>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m, 0, 32), \
      row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_r, 0, &FromInteger<host::name<u64>>::reg, 64),  \
      memory_row<FromInteger<host::name<u64>>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m, 0, 64),
#define SOFTSNP_COMPARE(MNEMONIC, name, size)                               \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_x, 0, &Compare<host::name>::reg), \
      memory_row<Compare<host::name>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m, 0),

using Dpps = Dot<host::dpps, true>;
using Dppd = Dot<host::dppd, false>;

constexpr Row table[] = {
    SOFTSNP_SSE_FP(SOFTSNP_FLOAT) SOFTSNP_SSE_FP_IMMEDIATE(SOFTSNP_FLOAT_IMMEDIATE)
        SOFTSNP_SSE_TO_INTEGER(SOFTSNP_TO_INTEGER) SOFTSNP_SSE_FROM_INTEGER(SOFTSNP_FROM_INTEGER)
            SOFTSNP_SSE_COMPARE(SOFTSNP_COMPARE)
                row(ZYDIS_MNEMONIC_DPPS, forms::x_x_i, 0, &Dpps::reg),
    memory_row<Dpps>(ZYDIS_MNEMONIC_DPPS, forms::x_m_i, 0),
    row(ZYDIS_MNEMONIC_DPPD, forms::x_x_i, 0, &Dppd::reg),
    memory_row<Dppd>(ZYDIS_MNEMONIC_DPPD, forms::x_m_i, 0),
};

}  // namespace

std::span<const Row> rows_sse_float() {
  return table;
}

}  // namespace softsnp::cpu

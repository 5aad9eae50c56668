// Integer, logic, shuffle, AES and string instructions on XMM registers. APM volume 4.
#include "machine/cpu/decode/rows_sse.hpp"
#include "machine/cpu/exec/sse_move.hpp"
#include "machine/cpu/exec/sse_operate.hpp"

namespace softsnp::cpu {
namespace {

using namespace sse;

#define SOFTSNP_ROWS(handlers, MNEMONIC, reg_form, mem_form)   \
  row(ZYDIS_MNEMONIC_##MNEMONIC, reg_form, 0, &handlers::reg), \
      memory_row<handlers>(ZYDIS_MNEMONIC_##MNEMONIC, mem_form, 0),
#define SOFTSNP_PLAIN(MNEMONIC, name, size) \
  SOFTSNP_ROWS(Plain<host::name>, MNEMONIC, forms::x_x, forms::x_m)
#define SOFTSNP_LOW(MNEMONIC, name, size) \
  SOFTSNP_ROWS(LowHalf<host::name>, MNEMONIC, forms::x_x, forms::x_m)
#define SOFTSNP_BLENDS(MNEMONIC, name, size) \
  SOFTSNP_ROWS(Blend<host::name>, MNEMONIC, forms::x_x, forms::x_m)
#define SOFTSNP_IMMEDIATE(MNEMONIC, name, size, mask) \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_x_i, 0, &Immediate<host::name>::reg),
#define SOFTSNP_IMMEDIATE_MEMORY(MNEMONIC, name) \
  memory_row<Immediate<host::name>>(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_m_i, 0),
#define SOFTSNP_SHIFT(MNEMONIC, name) \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::x_i, 0, &shift_by_immediate<host::name>),

using Pcmpestri = String<host::pcmpestri, true, true>;
using Pcmpestrm = String<host::pcmpestrm, true, false>;
using Pcmpistri = String<host::pcmpistri, false, true>;
using Pcmpistrm = String<host::pcmpistrm, false, false>;

constexpr Row table[] = {
    SOFTSNP_SSE_INTEGER(SOFTSNP_PLAIN) SOFTSNP_SSE_LOW_HALF(SOFTSNP_LOW) SOFTSNP_SSE_LOGIC(
        SOFTSNP_PLAIN) SOFTSNP_SSE_BLEND(SOFTSNP_BLENDS) SOFTSNP_SSE_IMMEDIATE(SOFTSNP_IMMEDIATE)
        SOFTSNP_IMMEDIATE_MEMORY(SHUFPS, shufps) SOFTSNP_IMMEDIATE_MEMORY(SHUFPD, shufpd)
            SOFTSNP_IMMEDIATE_MEMORY(PSHUFD, pshufd) SOFTSNP_IMMEDIATE_MEMORY(PSHUFHW, pshufhw)
                SOFTSNP_IMMEDIATE_MEMORY(PSHUFLW, pshuflw) SOFTSNP_IMMEDIATE_MEMORY(
                    PALIGNR, palignr) SOFTSNP_IMMEDIATE_MEMORY(PBLENDW, pblendw)
                    SOFTSNP_IMMEDIATE_MEMORY(BLENDPS, blendps) SOFTSNP_IMMEDIATE_MEMORY(
                        BLENDPD, blendpd) SOFTSNP_IMMEDIATE_MEMORY(MPSADBW, mpsadbw)
                        SOFTSNP_IMMEDIATE_MEMORY(PCLMULQDQ, pclmulqdq)
                            SOFTSNP_IMMEDIATE_MEMORY(AESKEYGENASSIST, aeskeygenassist)
                                memory_row<InsertSingle>(ZYDIS_MNEMONIC_INSERTPS, forms::x_m_i, 0),
    SOFTSNP_SHIFT(PSLLW, psllw) SOFTSNP_SHIFT(PSLLD, pslld) SOFTSNP_SHIFT(PSLLQ, psllq)
        SOFTSNP_SHIFT(PSRLW, psrlw) SOFTSNP_SHIFT(PSRLD, psrld) SOFTSNP_SHIFT(PSRLQ, psrlq)
            SOFTSNP_SHIFT(PSRAW, psraw) SOFTSNP_SHIFT(PSRAD, psrad)
                row(ZYDIS_MNEMONIC_PSLLDQ, forms::x_i, 0, &shift_bytes_left),
    row(ZYDIS_MNEMONIC_PSRLDQ, forms::x_i, 0, &shift_bytes_right),
    SOFTSNP_ROWS(Ptest, PTEST, forms::x_x, forms::x_m)
        SOFTSNP_ROWS(Pcmpestri, PCMPESTRI, forms::x_x_i, forms::x_m_i)
            SOFTSNP_ROWS(Pcmpestrm, PCMPESTRM, forms::x_x_i, forms::x_m_i)
                SOFTSNP_ROWS(Pcmpistri, PCMPISTRI, forms::x_x_i, forms::x_m_i)
                    SOFTSNP_ROWS(Pcmpistrm, PCMPISTRM, forms::x_x_i, forms::x_m_i)};

}  // namespace

std::span<const Row> rows_sse_integer() {
  return table;
}

}  // namespace softsnp::cpu

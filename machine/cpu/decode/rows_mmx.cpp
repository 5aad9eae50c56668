// MMX and the conversions between MMX and XMM registers. APM volume 5, volume 4.
#include "machine/cpu/decode/rows_sse.hpp"
#include "machine/cpu/exec/mmx.hpp"

namespace softsnp::cpu {
namespace {

using namespace mmx;

// NOLINTBEGIN(bugprone-macro-parentheses): form and name are parts of qualified names.
#define SOFTSNP_REG(MNEMONIC, form, handler) row(ZYDIS_MNEMONIC_##MNEMONIC, forms::form, 0, handler)
#define SOFTSNP_MEM(MNEMONIC, form, ...) \
  memory_row<__VA_ARGS__>(ZYDIS_MNEMONIC_##MNEMONIC, forms::form, 0)
#define SOFTSNP_PLAIN(MNEMONIC, bytes, adapter, name)                                     \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::q_q, 0, &Plain<adapter<host::name>, bytes>::reg), \
      SOFTSNP_MEM(MNEMONIC, q_m, Plain<adapter<host::name>, bytes>),
#define SOFTSNP_SHIFT(MNEMONIC, name) SOFTSNP_REG(MNEMONIC, q_i, &shift_by_immediate<host::name>)
// NOLINTEND(bugprone-macro-parentheses)

using FromPairSingle = FromPair<host::cvtdq2ps, true>;
using FromPairDouble = FromPair<host::cvtdq2pd, false>;
#define SOFTSNP_TO_PAIR(MNEMONIC, name, bytes)                                    \
  row(ZYDIS_MNEMONIC_##MNEMONIC, forms::q_x, 0, &ToPair<host::name, bytes>::reg), \
      SOFTSNP_MEM(MNEMONIC, q_m, ToPair<host::name, bytes>)

constexpr Row table[] = {
    SOFTSNP_MMX(SOFTSNP_PLAIN) SOFTSNP_SHIFT(PSLLW, psllw),
    SOFTSNP_SHIFT(PSLLD, pslld),
    SOFTSNP_SHIFT(PSLLQ, psllq),
    SOFTSNP_SHIFT(PSRLW, psrlw),
    SOFTSNP_SHIFT(PSRLD, psrld),
    SOFTSNP_SHIFT(PSRLQ, psrlq),
    SOFTSNP_SHIFT(PSRAW, psraw),
    SOFTSNP_SHIFT(PSRAD, psrad),

    SOFTSNP_REG(MOVQ, q_q, &Move<u64>::reg),
    SOFTSNP_MEM(MOVQ, q_m, Move<u64>),
    SOFTSNP_MEM(MOVQ, m_q, Store<u64>),
    SOFTSNP_REG(MOVQ, q_r, &from_gpr<u64>),
    SOFTSNP_REG(MOVQ, r_q, &to_gpr<u64>),
    SOFTSNP_MEM(MOVD, q_m, Move<u32>),
    SOFTSNP_MEM(MOVD, m_q, Store<u32>),
    SOFTSNP_REG(MOVD, q_r, &from_gpr<u32>),
    SOFTSNP_REG(MOVD, r_q, &to_gpr<u32>),
    SOFTSNP_MEM(MOVNTQ, m_q, Store<u64>),

    SOFTSNP_REG(PSHUFW, q_q_i, &Pshufw::reg),
    SOFTSNP_MEM(PSHUFW, q_m_i, Pshufw),
    SOFTSNP_REG(PALIGNR, q_q_i, &Palignr::reg),
    SOFTSNP_MEM(PALIGNR, q_m_i, Palignr),
    SOFTSNP_REG(PINSRW, q_r_i, &Pinsrw::reg),
    SOFTSNP_MEM(PINSRW, q_m_i, Pinsrw),
    SOFTSNP_REG(PEXTRW, r_q_i, &pextrw),
    SOFTSNP_REG(PMOVMSKB, r_q, &pmovmskb),
    SOFTSNP_REG(MASKMOVQ, q_q, &maskmovq),
    SOFTSNP_REG(EMMS, none, &emms),

    SOFTSNP_REG(MOVQ2DQ, x_q, &movq2dq),
    SOFTSNP_REG(MOVDQ2Q, q_x, &movdq2q),
    SOFTSNP_REG(CVTPI2PS, x_q, &FromPairSingle::reg),
    SOFTSNP_MEM(CVTPI2PS, x_m, FromPairSingle),
    SOFTSNP_REG(CVTPI2PD, x_q, &FromPairDouble::reg),
    SOFTSNP_MEM(CVTPI2PD, x_m, FromPairDouble),
    SOFTSNP_TO_PAIR(CVTPS2PI, cvtps2dq, 8),
    SOFTSNP_TO_PAIR(CVTTPS2PI, cvttps2dq, 8),
    SOFTSNP_TO_PAIR(CVTPD2PI, cvtpd2dq, 16),
    SOFTSNP_TO_PAIR(CVTTPD2PI, cvttpd2dq, 16),
};

}  // namespace

std::span<const Row> rows_mmx() {
  return table;
}

}  // namespace softsnp::cpu

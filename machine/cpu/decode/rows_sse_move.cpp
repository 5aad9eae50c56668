// Moves, inserts, extracts, SSE4a, MXCSR. APM volume 4.
#include "machine/cpu/decode/rows_sse.hpp"
#include "machine/cpu/exec/sse_move.hpp"

namespace softsnp::cpu {
namespace {

using namespace sse;
constexpr Form x_i_i = form(Operand::xmm, Operand::imm, Operand::imm);
constexpr Form x_x_i_i = form(Operand::xmm, Operand::xmm, Operand::imm, Operand::imm);

using LoadAligned = Load<16, Alignment::always>;
using StoreAligned = Store<Vector, 0, Alignment::always>;

#define SOFTSNP_REG(MNEMONIC, form, handler) row(ZYDIS_MNEMONIC_##MNEMONIC, forms::form, 0, handler)
#define SOFTSNP_MEM(MNEMONIC, form, ...) \
  memory_row<__VA_ARGS__>(ZYDIS_MNEMONIC_##MNEMONIC, forms::form, 0)
#define SOFTSNP_MOVE(MNEMONIC, Loader, Storer)                                             \
  SOFTSNP_REG(MNEMONIC, x_x, &move_register<MoveAll>), SOFTSNP_MEM(MNEMONIC, x_m, Loader), \
      SOFTSNP_MEM(MNEMONIC, m_x, Storer)
#define SOFTSNP_EXTRACT(MNEMONIC, T) \
  SOFTSNP_REG(MNEMONIC, r_x_i, &Extract<T>::reg), SOFTSNP_MEM(MNEMONIC, m_x_i, Extract<T>)
#define SOFTSNP_INSERT(MNEMONIC, T) \
  SOFTSNP_REG(MNEMONIC, x_r_i, &Insert<T>::reg), SOFTSNP_MEM(MNEMONIC, x_m_i, Insert<T>)

constexpr Row table[] = {
    SOFTSNP_MOVE(MOVAPS, LoadAligned, StoreAligned),
    SOFTSNP_MOVE(MOVAPD, LoadAligned, StoreAligned),
    SOFTSNP_MOVE(MOVDQA, LoadAligned, StoreAligned),
    SOFTSNP_MOVE(MOVUPS, Load<16>, Store<Vector>),
    SOFTSNP_MOVE(MOVUPD, Load<16>, Store<Vector>),
    SOFTSNP_MOVE(MOVDQU, Load<16>, Store<Vector>),
    SOFTSNP_MEM(LDDQU, x_m, Load<16>),
    SOFTSNP_MEM(MOVNTDQA, x_m, LoadAligned),
    SOFTSNP_MEM(MOVNTPS, m_x, StoreAligned),
    SOFTSNP_MEM(MOVNTPD, m_x, StoreAligned),
    SOFTSNP_MEM(MOVNTDQ, m_x, StoreAligned),

    SOFTSNP_REG(MOVSS, x_x, &move_register<MoveLow32>),
    SOFTSNP_MEM(MOVSS, x_m, Load<4>),
    SOFTSNP_MEM(MOVSS, m_x, Store<u32>),
    SOFTSNP_MEM(MOVNTSS, m_x, Store<u32>),
    SOFTSNP_REG(MOVSD, x_x, &move_register<MoveLow64>),
    SOFTSNP_MEM(MOVSD, x_m, Load<8>),
    SOFTSNP_MEM(MOVSD, m_x, Store<u64>),
    SOFTSNP_MEM(MOVNTSD, m_x, Store<u64>),

    SOFTSNP_REG(MOVQ, x_x, &move_register<MoveQuad>),
    SOFTSNP_MEM(MOVQ, x_m, Load<8>),
    SOFTSNP_MEM(MOVQ, m_x, Store<u64>),
    SOFTSNP_REG(MOVQ, x_r, &from_gpr<u64>),
    SOFTSNP_REG(MOVQ, r_x, &to_gpr<u64>),
    SOFTSNP_MEM(MOVD, x_m, Load<4>),
    SOFTSNP_MEM(MOVD, m_x, Store<u32>),
    SOFTSNP_REG(MOVD, x_r, &from_gpr<u32>),
    SOFTSNP_REG(MOVD, r_x, &to_gpr<u32>),

    SOFTSNP_REG(MOVHLPS, x_x, &move_register<MoveHighToLow>),
    SOFTSNP_REG(MOVLHPS, x_x, &move_register<MoveLowToHigh>),
    SOFTSNP_MEM(MOVLPS, x_m, LoadHalf<0>),
    SOFTSNP_MEM(MOVLPS, m_x, Store<u64>),
    SOFTSNP_MEM(MOVLPD, x_m, LoadHalf<0>),
    SOFTSNP_MEM(MOVLPD, m_x, Store<u64>),
    SOFTSNP_MEM(MOVHPS, x_m, LoadHalf<1>),
    SOFTSNP_MEM(MOVHPS, m_x, Store<u64, 8>),
    SOFTSNP_MEM(MOVHPD, x_m, LoadHalf<1>),
    SOFTSNP_MEM(MOVHPD, m_x, Store<u64, 8>),

    SOFTSNP_INSERT(PINSRB, u8),
    SOFTSNP_INSERT(PINSRW, u16),
    SOFTSNP_INSERT(PINSRD, u32),
    SOFTSNP_INSERT(PINSRQ, u64),
    SOFTSNP_EXTRACT(PEXTRB, u8),
    SOFTSNP_EXTRACT(PEXTRW, u16),
    SOFTSNP_EXTRACT(PEXTRD, u32),
    SOFTSNP_EXTRACT(PEXTRQ, u64),
    SOFTSNP_EXTRACT(EXTRACTPS, u32),

    SOFTSNP_REG(MOVMSKPS, r_x, &movmskps),
    SOFTSNP_REG(MOVMSKPD, r_x, &movmskpd),
    SOFTSNP_REG(PMOVMSKB, r_x, &pmovmskb),
    SOFTSNP_REG(MASKMOVDQU, x_x, &maskmovdqu),
    row(ZYDIS_MNEMONIC_EXTRQ, x_i_i, 0, &extrq_immediate),
    SOFTSNP_REG(EXTRQ, x_x, &extrq_register),
    row(ZYDIS_MNEMONIC_INSERTQ, x_x_i_i, 0, &insertq_immediate),
    SOFTSNP_REG(INSERTQ, x_x, &insertq_register),
    SOFTSNP_MEM(LDMXCSR, m, Ldmxcsr),
    SOFTSNP_MEM(STMXCSR, m, Stmxcsr),
};

}  // namespace

std::span<const Row> rows_sse_move() {
  return table;
}

}  // namespace softsnp::cpu

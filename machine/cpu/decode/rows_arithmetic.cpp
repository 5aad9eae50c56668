// APM volume 3: ADD to XOR, INC, DEC, NEG, NOT, XADD, CMPXCHG, MUL to IDIV, decimal adjustments.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/arithmetic.hpp"
#include "machine/cpu/exec/misc.hpp"
#include "machine/cpu/exec/multiply.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <class F, class T>
constexpr std::array<Row, 5> binary_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<T>, &op_binary_rr<F, T>),
          row(m, forms::r_i, bits<T>, &op_binary_ri<F, T>),
          memory_row<BinaryRM<F, T>>(m, forms::r_m, bits<T>),
          memory_row<BinaryMR<F, T>>(m, forms::m_r, bits<T>),
          memory_row<BinaryMI<F, T>>(m, forms::m_i, bits<T>)};
}
template <class F>
constexpr auto binary(ZydisMnemonic m) {
  return join(binary_of_size<F, u8>(m), binary_of_size<F, u16>(m), binary_of_size<F, u32>(m),
              binary_of_size<F, u64>(m));
}

template <class T>
constexpr std::array<Row, 4> test_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<T>, &op_binary_rr<alu::Test, T>),
          row(m, forms::r_i, bits<T>, &op_binary_ri<alu::Test, T>),
          memory_row<BinaryMR<alu::Test, T>>(m, forms::m_r, bits<T>),
          memory_row<BinaryMI<alu::Test, T>>(m, forms::m_i, bits<T>)};
}

template <class F, class T>
constexpr std::array<Row, 2> unary_of_size(ZydisMnemonic m) {
  return {row(m, forms::r, bits<T>, &op_unary_r<F, T>),
          memory_row<UnaryM<F, T>>(m, forms::m, bits<T>)};
}
template <class F>
constexpr auto unary(ZydisMnemonic m) {
  return join(unary_of_size<F, u8>(m), unary_of_size<F, u16>(m), unary_of_size<F, u32>(m),
              unary_of_size<F, u64>(m));
}

template <class T>
constexpr std::array<Row, 4> exchange_of_size() {
  return {row(ZYDIS_MNEMONIC_XADD, forms::r_r, bits<T>, &op_xadd_rr<T>),
          memory_row<XaddMR<T>>(ZYDIS_MNEMONIC_XADD, forms::m_r, bits<T>),
          row(ZYDIS_MNEMONIC_CMPXCHG, forms::r_r, bits<T>, &op_cmpxchg_rr<T>),
          memory_row<CmpxchgMR<T>>(ZYDIS_MNEMONIC_CMPXCHG, forms::m_r, bits<T>)};
}

template <class F, class T>
constexpr std::array<Row, 2> wide_of_size(ZydisMnemonic m) {
  return {row(m, forms::r, bits<T>, &op_wide_r<F, T>),
          memory_row<WideM<F, T>>(m, forms::m, bits<T>)};
}
template <class F>
constexpr auto wide(ZydisMnemonic m) {
  return join(wide_of_size<F, u8>(m), wide_of_size<F, u16>(m), wide_of_size<F, u32>(m),
              wide_of_size<F, u64>(m));
}

template <class T>
constexpr std::array<Row, 4> imul_of_size() {
  constexpr ZydisMnemonic m = ZYDIS_MNEMONIC_IMUL;
  return {row(m, forms::r_r, bits<T>, &op_binary_rr<ImulLow, T>),
          memory_row<BinaryRM<ImulLow, T>>(m, forms::r_m, bits<T>),
          row(m, forms::r_r_i, bits<T>, &op_imul_rri<T>),
          memory_row<ImulRMI<T>>(m, forms::r_m_i, bits<T>)};
}

template <class T>
constexpr std::array<Row, 2> mulx_of_size() {
  return {row(ZYDIS_MNEMONIC_MULX, forms::r_r_r, bits<T>, &op_mulx_rrr<T>),
          memory_row<MulxRRM<T>>(ZYDIS_MNEMONIC_MULX, forms::r_r_m, bits<T>)};
}

constexpr std::array<Row, 8> pairs_and_decimal = {
    memory_row<CmpxchgPair<u32>>(ZYDIS_MNEMONIC_CMPXCHG8B, forms::m, 64),
    memory_row<CmpxchgPair<u64>>(ZYDIS_MNEMONIC_CMPXCHG16B, forms::m, 128),
    row(ZYDIS_MNEMONIC_DAA, forms::none, 0, &op_daa),
    row(ZYDIS_MNEMONIC_DAS, forms::none, 0, &op_das),
    row(ZYDIS_MNEMONIC_AAA, forms::none, 0, &op_aaa),
    row(ZYDIS_MNEMONIC_AAS, forms::none, 0, &op_aas),
    row(ZYDIS_MNEMONIC_AAD, forms::i, 0, &op_aad),
    row(ZYDIS_MNEMONIC_AAM, forms::i, 0, &op_aam)};

constexpr auto rows =
    join(binary<alu::Add>(ZYDIS_MNEMONIC_ADD), binary<alu::Or>(ZYDIS_MNEMONIC_OR),
         binary<alu::Adc>(ZYDIS_MNEMONIC_ADC), binary<alu::Sbb>(ZYDIS_MNEMONIC_SBB),
         binary<alu::And>(ZYDIS_MNEMONIC_AND), binary<alu::Sub>(ZYDIS_MNEMONIC_SUB),
         binary<alu::Xor>(ZYDIS_MNEMONIC_XOR), binary<alu::Cmp>(ZYDIS_MNEMONIC_CMP),
         test_of_size<u8>(ZYDIS_MNEMONIC_TEST), test_of_size<u16>(ZYDIS_MNEMONIC_TEST),
         test_of_size<u32>(ZYDIS_MNEMONIC_TEST), test_of_size<u64>(ZYDIS_MNEMONIC_TEST),
         unary<alu::Inc>(ZYDIS_MNEMONIC_INC), unary<alu::Dec>(ZYDIS_MNEMONIC_DEC),
         unary<alu::Neg>(ZYDIS_MNEMONIC_NEG), unary<alu::Not>(ZYDIS_MNEMONIC_NOT),
         exchange_of_size<u8>(), exchange_of_size<u16>(), exchange_of_size<u32>(),
         exchange_of_size<u64>(), wide<Mul>(ZYDIS_MNEMONIC_MUL), wide<Imul>(ZYDIS_MNEMONIC_IMUL),
         wide<Div>(ZYDIS_MNEMONIC_DIV), wide<Idiv>(ZYDIS_MNEMONIC_IDIV), imul_of_size<u16>(),
         imul_of_size<u32>(), imul_of_size<u64>(), mulx_of_size<u32>(), mulx_of_size<u64>(),
         pairs_and_decimal);

}  // namespace

std::span<const Row> rows_arithmetic() {
  return rows;
}

}  // namespace softsnp::cpu

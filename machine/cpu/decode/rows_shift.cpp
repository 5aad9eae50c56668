// APM volume 3: SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/shift.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <class F, class T>
constexpr std::array<Row, 4> shift_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_i, bits<T>, &op_shift_r<F, T, Count::immediate>),
          row(m, forms::r_r, bits<T>, &op_shift_r<F, T, Count::cl>),
          memory_row<ShiftM<F, T, Count::immediate>>(m, forms::m_i, bits<T>),
          memory_row<ShiftM<F, T, Count::cl>>(m, forms::m_r, bits<T>)};
}
template <class F>
constexpr auto shift(ZydisMnemonic m) {
  return join(shift_of_size<F, u8>(m), shift_of_size<F, u16>(m), shift_of_size<F, u32>(m),
              shift_of_size<F, u64>(m));
}

template <class F, class T>
constexpr std::array<Row, 4> double_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r_i, bits<T>, &op_double_shift_r<F, T, Count::immediate>),
          row(m, forms::r_r_r, bits<T>, &op_double_shift_r<F, T, Count::cl>),
          memory_row<DoubleShiftM<F, T, Count::immediate>>(m, forms::m_r_i, bits<T>),
          memory_row<DoubleShiftM<F, T, Count::cl>>(m, forms::m_r_r, bits<T>)};
}
template <class F>
constexpr auto double_shift(ZydisMnemonic m) {
  return join(double_of_size<F, u16>(m), double_of_size<F, u32>(m), double_of_size<F, u64>(m));
}

constexpr auto rows =
    join(shift<alu::Shl>(ZYDIS_MNEMONIC_SHL), shift<alu::Shr>(ZYDIS_MNEMONIC_SHR),
         shift<alu::Sar>(ZYDIS_MNEMONIC_SAR), shift<alu::Rol>(ZYDIS_MNEMONIC_ROL),
         shift<alu::Ror>(ZYDIS_MNEMONIC_ROR), shift<alu::Rcl>(ZYDIS_MNEMONIC_RCL),
         shift<alu::Rcr>(ZYDIS_MNEMONIC_RCR), double_shift<alu::Shld>(ZYDIS_MNEMONIC_SHLD),
         double_shift<alu::Shrd>(ZYDIS_MNEMONIC_SHRD));

}  // namespace

std::span<const Row> rows_shift() {
  return rows;
}

}  // namespace softsnp::cpu

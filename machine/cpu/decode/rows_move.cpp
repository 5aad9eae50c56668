// APM volume 3: MOV, MOVZX, MOVSX, MOVSXD, MOVNTI, LEA, XCHG, CMOVcc, SETcc.
#include "machine/cpu/decode/conditions.hpp"
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/move.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <class T>
constexpr std::array<Row, 7> move_of_size() {
  constexpr ZydisMnemonic m = ZYDIS_MNEMONIC_MOV;
  constexpr ZydisMnemonic x = ZYDIS_MNEMONIC_XCHG;
  return {
      row(m, forms::r_r, bits<T>, &op_mov_rr<T>),   row(m, forms::r_i, bits<T>, &op_mov_ri<T>),
      memory_row<MovRM<T>>(m, forms::r_m, bits<T>), memory_row<MovMR<T>>(m, forms::m_r, bits<T>),
      memory_row<MovMI<T>>(m, forms::m_i, bits<T>), row(x, forms::r_r, bits<T>, &op_xchg_rr<T>),
      memory_row<XchgMR<T>>(x, forms::m_r, bits<T>)};
}

template <class To, class From>
constexpr std::array<Row, 2> extend(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<To>, &op_extend_rr<To, From>, bits<From>),
          memory_row<ExtendRM<To, From>>(m, forms::r_m, bits<To>, bits<From>)};
}
template <class From>
constexpr auto extend_all(ZydisMnemonic m) {
  return join(extend<u16, From>(m), extend<u32, From>(m), extend<u64, From>(m));
}

constexpr std::array<Row, 9> others = {
    memory_row<Lea<u16>>(ZYDIS_MNEMONIC_LEA, forms::r_m, 16),
    memory_row<Lea<u32>>(ZYDIS_MNEMONIC_LEA, forms::r_m, 32),
    memory_row<Lea<u64>>(ZYDIS_MNEMONIC_LEA, forms::r_m, 64),
    memory_row<MovMR<u32>>(ZYDIS_MNEMONIC_MOVNTI, forms::m_r, 32),
    memory_row<MovMR<u64>>(ZYDIS_MNEMONIC_MOVNTI, forms::m_r, 64),
    row(ZYDIS_MNEMONIC_MOV, forms::r_s, 16, &op_mov_from_segment_r<u16>),
    row(ZYDIS_MNEMONIC_MOV, forms::r_s, 32, &op_mov_from_segment_r<u32>),
    row(ZYDIS_MNEMONIC_MOV, forms::r_s, 64, &op_mov_from_segment_r<u64>),
    memory_row<MovFromSegmentM>(ZYDIS_MNEMONIC_MOV, forms::m_s, 0)};

// MOVSXD with a 16-bit destination moves 16 bits (APM3); Zydis gives its memory operand 32.
constexpr std::array<Row, 2> movsxd16 = {
    row(ZYDIS_MNEMONIC_MOVSXD, forms::r_r, 16, &op_extend_rr<u16, i16>),
    memory_row<ExtendRM<u16, i16>>(ZYDIS_MNEMONIC_MOVSXD, forms::r_m, 16)};

template <unsigned C, class T>
constexpr std::array<Row, 2> cmov_of_size() {
  return {row(cmov_mnemonics[C], forms::r_r, bits<T>, &op_cmov_rr<C, T>),
          memory_row<CmovRM<C, T>>(cmov_mnemonics[C], forms::r_m, bits<T>)};
}
template <unsigned C>
constexpr std::array<Row, 2> set() {
  return {row(set_mnemonics[C], forms::r, 8, &op_set_r<C>),
          memory_row<SetM<C>>(set_mnemonics[C], forms::m, 8)};
}
template <unsigned... C>
constexpr auto conditional(std::integer_sequence<unsigned, C...>) {
  return join(cmov_of_size<C, u16>()..., cmov_of_size<C, u32>()..., cmov_of_size<C, u64>()...,
              set<C>()...);
}

constexpr auto rows =
    join(move_of_size<u8>(), move_of_size<u16>(), move_of_size<u32>(), move_of_size<u64>(),
         extend_all<u8>(ZYDIS_MNEMONIC_MOVZX), extend_all<u16>(ZYDIS_MNEMONIC_MOVZX),
         extend_all<i8>(ZYDIS_MNEMONIC_MOVSX), extend_all<i16>(ZYDIS_MNEMONIC_MOVSX),
         extend<u64, i32>(ZYDIS_MNEMONIC_MOVSXD), extend<u32, i32>(ZYDIS_MNEMONIC_MOVSXD), movsxd16,
         others, conditional(std::make_integer_sequence<unsigned, 16>()));

}  // namespace

std::span<const Row> rows_move() {
  return rows;
}

}  // namespace softsnp::cpu

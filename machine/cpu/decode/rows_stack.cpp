// APM volume 3: PUSH, POP, PUSHA, POPA, ENTER, LEAVE, PUSHF, POPF.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/privileged.hpp"
#include "machine/cpu/exec/stack_ops.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <class T>
constexpr std::array<Row, 6> stack_of_size() {
  return {with_general(row(ZYDIS_MNEMONIC_PUSH, forms::r, bits<T>, &op_push_r64<T>), &op_push_r<T>),
          with_general(row(ZYDIS_MNEMONIC_POP, forms::r, bits<T>, &op_pop_r64<T>), &op_pop_r<T>),
          row(ZYDIS_MNEMONIC_PUSH, forms::i, bits<T>, &op_push_i<T>),
          memory_row<PushM<T>>(ZYDIS_MNEMONIC_PUSH, forms::m, bits<T>),
          memory_row<PopM<T>>(ZYDIS_MNEMONIC_POP, forms::m, bits<T>),
          row(ZYDIS_MNEMONIC_ENTER, forms::i_i, bits<T>, &op_enter<T>)};
}

constexpr Row flags_row(ZydisMnemonic m, Handler handler, SystemOp system) {
  Row one = row(m, forms::none, 0, handler);
  one.system = system;
  return one;
}

constexpr std::array<Row, 16> others = {
    row(ZYDIS_MNEMONIC_PUSH, forms::s, 16, &op_push_segment<u16>),
    row(ZYDIS_MNEMONIC_PUSH, forms::s, 32, &op_push_segment<u32>),
    row(ZYDIS_MNEMONIC_PUSH, forms::s, 64, &op_push_segment<u64>),
    row(ZYDIS_MNEMONIC_LEAVE, forms::none, 64, &op_leave64),
    row(ZYDIS_MNEMONIC_LEAVE, forms::none, 32, &op_leave<u32>),
    row(ZYDIS_MNEMONIC_LEAVE, forms::none, 16, &op_leave<u16>),
    row(ZYDIS_MNEMONIC_PUSHA, forms::none, 0, &op_pusha<u16>),
    row(ZYDIS_MNEMONIC_PUSHAD, forms::none, 0, &op_pusha<u32>),
    row(ZYDIS_MNEMONIC_POPA, forms::none, 0, &op_popa<u16>),
    row(ZYDIS_MNEMONIC_POPAD, forms::none, 0, &op_popa<u32>),
    flags_row(ZYDIS_MNEMONIC_PUSHF, &op_pushf<u16>, SystemOp::pushf),
    flags_row(ZYDIS_MNEMONIC_PUSHFD, &op_pushf<u32>, SystemOp::pushf),
    flags_row(ZYDIS_MNEMONIC_PUSHFQ, &op_pushf<u64>, SystemOp::pushf),
    flags_row(ZYDIS_MNEMONIC_POPF, &op_popf<u16>, SystemOp::popf),
    flags_row(ZYDIS_MNEMONIC_POPFD, &op_popf<u32>, SystemOp::popf),
    flags_row(ZYDIS_MNEMONIC_POPFQ, &op_popf<u64>, SystemOp::popf)};

constexpr auto rows =
    join(stack_of_size<u16>(), stack_of_size<u32>(), stack_of_size<u64>(), others);

}  // namespace

std::span<const Row> rows_stack() {
  return rows;
}

}  // namespace softsnp::cpu

// APM volume 3: near JMP, CALL, RET, Jcc, LOOPcc, JrCXZ. In 64-bit code AMD processors honour an
// operand-size prefix on near branches: the target is cut to 16 bits (APM3 1.2.4; Zydis' AMD mode).
#include "machine/cpu/decode/conditions.hpp"
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/branch.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <unsigned C>
constexpr std::array<Row, 3> jcc() {
  constexpr ZydisMnemonic m = jcc_mnemonics[C];
  return {ending(with_general(row(m, forms::rel, 64, &op_jcc<C>), &op_jcc_checked<C>)),
          ending(row(m, forms::rel, 32, &op_jcc_checked<C>)),
          ending(row(m, forms::rel, 16, &op_jcc_checked<C>))};
}
template <unsigned... C>
constexpr auto all_jcc(std::integer_sequence<unsigned, C...>) {
  return join(jcc<C>()...);
}

template <class T>
constexpr std::array<Row, 4> indirect_of_size() {
  return {ending(row(ZYDIS_MNEMONIC_JMP, forms::r, bits<T>, &op_jmp_r<T>)),
          ending(memory_row<JmpM<T>>(ZYDIS_MNEMONIC_JMP, forms::m, bits<T>)),
          ending(row(ZYDIS_MNEMONIC_CALL, forms::r, bits<T>, &op_call_r<T>)),
          ending(memory_row<CallM<T>>(ZYDIS_MNEMONIC_CALL, forms::m, bits<T>))};
}

constexpr std::array<Row, 18> others = {
    ending(with_general(row(ZYDIS_MNEMONIC_JMP, forms::rel, 64, &op_jmp), &op_jmp_checked)),
    ending(row(ZYDIS_MNEMONIC_JMP, forms::rel, 32, &op_jmp_checked)),
    ending(row(ZYDIS_MNEMONIC_JMP, forms::rel, 16, &op_jmp_checked)),
    ending(with_general(row(ZYDIS_MNEMONIC_CALL, forms::rel, 64, &op_call64), &op_call_rel<u64>)),
    ending(row(ZYDIS_MNEMONIC_CALL, forms::rel, 32, &op_call_rel<u32>)),
    ending(row(ZYDIS_MNEMONIC_CALL, forms::rel, 16, &op_call_rel<u16>)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::none, 64, &op_ret64)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::none, 32, &op_ret<u32>)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::none, 16, &op_ret<u16>)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::i, 64, &op_ret64_i)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::i, 32, &op_ret<u32>)),
    ending(row(ZYDIS_MNEMONIC_RET, forms::i, 16, &op_ret<u16>)),
    ending(row(ZYDIS_MNEMONIC_JRCXZ, forms::rel, 0, &op_jrcxz)),
    ending(row(ZYDIS_MNEMONIC_JECXZ, forms::rel, 0, &op_jrcxz)),
    ending(row(ZYDIS_MNEMONIC_JCXZ, forms::rel, 0, &op_jrcxz)),
    ending(row(ZYDIS_MNEMONIC_LOOP, forms::rel, 0, &op_loop<LoopWhile::counting>)),
    ending(row(ZYDIS_MNEMONIC_LOOPE, forms::rel, 0, &op_loop<LoopWhile::equal>)),
    ending(row(ZYDIS_MNEMONIC_LOOPNE, forms::rel, 0, &op_loop<LoopWhile::not_equal>))};

constexpr auto rows =
    join(all_jcc(std::make_integer_sequence<unsigned, 16>()), indirect_of_size<u16>(),
         indirect_of_size<u32>(), indirect_of_size<u64>(), others);

}  // namespace

std::span<const Row> rows_branch() {
  return rows;
}

}  // namespace softsnp::cpu

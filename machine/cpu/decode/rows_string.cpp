// APM volume 3: MOVS, STOS, LODS, CMPS, SCAS. MOVSD and CMPSD share their names with SSE2
// instructions; the form without operands is the string instruction.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/string_ops.hpp"

namespace softsnp::cpu {
namespace {

constexpr std::array<Row, 20> rows = {row(ZYDIS_MNEMONIC_MOVSB, forms::none, 0, &op_movs<u8>),
                                      row(ZYDIS_MNEMONIC_MOVSW, forms::none, 0, &op_movs<u16>),
                                      row(ZYDIS_MNEMONIC_MOVSD, forms::none, 0, &op_movs<u32>),
                                      row(ZYDIS_MNEMONIC_MOVSQ, forms::none, 0, &op_movs<u64>),
                                      row(ZYDIS_MNEMONIC_STOSB, forms::none, 0, &op_stos<u8>),
                                      row(ZYDIS_MNEMONIC_STOSW, forms::none, 0, &op_stos<u16>),
                                      row(ZYDIS_MNEMONIC_STOSD, forms::none, 0, &op_stos<u32>),
                                      row(ZYDIS_MNEMONIC_STOSQ, forms::none, 0, &op_stos<u64>),
                                      row(ZYDIS_MNEMONIC_LODSB, forms::none, 0, &op_lods<u8>),
                                      row(ZYDIS_MNEMONIC_LODSW, forms::none, 0, &op_lods<u16>),
                                      row(ZYDIS_MNEMONIC_LODSD, forms::none, 0, &op_lods<u32>),
                                      row(ZYDIS_MNEMONIC_LODSQ, forms::none, 0, &op_lods<u64>),
                                      row(ZYDIS_MNEMONIC_CMPSB, forms::none, 0, &op_cmps<u8>),
                                      row(ZYDIS_MNEMONIC_CMPSW, forms::none, 0, &op_cmps<u16>),
                                      row(ZYDIS_MNEMONIC_CMPSD, forms::none, 0, &op_cmps<u32>),
                                      row(ZYDIS_MNEMONIC_CMPSQ, forms::none, 0, &op_cmps<u64>),
                                      row(ZYDIS_MNEMONIC_SCASB, forms::none, 0, &op_scas<u8>),
                                      row(ZYDIS_MNEMONIC_SCASW, forms::none, 0, &op_scas<u16>),
                                      row(ZYDIS_MNEMONIC_SCASD, forms::none, 0, &op_scas<u32>),
                                      row(ZYDIS_MNEMONIC_SCASQ, forms::none, 0, &op_scas<u64>)};

}  // namespace

std::span<const Row> rows_string() {
  return rows;
}

}  // namespace softsnp::cpu

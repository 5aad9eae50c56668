// APM volume 3: conversions, flags, hints, cache lines, BOUND, XLAT, UD.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "machine/cpu/exec/misc.hpp"

namespace softsnp::cpu {
namespace {

constexpr Row plain(ZydisMnemonic m, Handler handler) {
  return row(m, forms::none, 0, handler);
}
constexpr Row hint(ZydisMnemonic m) {
  return row(m, forms::m, 0, &op_nop);
}
constexpr Row pause_row() {
  Row one = plain(ZYDIS_MNEMONIC_PAUSE, &op_pause);
  one.system = SystemOp::pause;
  return one;
}

constexpr std::array<Row, 37> rows = {plain(ZYDIS_MNEMONIC_NOP, &op_nop),
                                      row(ZYDIS_MNEMONIC_NOP, forms::r, 0, &op_nop),
                                      row(ZYDIS_MNEMONIC_NOP, forms::m, 0, &op_nop),
                                      row(ZYDIS_MNEMONIC_NOP, forms::r_r, 0, &op_nop),
                                      row(ZYDIS_MNEMONIC_NOP, forms::m_r, 0, &op_nop),
                                      pause_row(),
                                      plain(ZYDIS_MNEMONIC_LFENCE, &op_nop),
                                      plain(ZYDIS_MNEMONIC_MFENCE, &op_nop),
                                      plain(ZYDIS_MNEMONIC_SFENCE, &op_nop),
                                      hint(ZYDIS_MNEMONIC_PREFETCH),
                                      hint(ZYDIS_MNEMONIC_PREFETCHNTA),
                                      hint(ZYDIS_MNEMONIC_PREFETCHT0),
                                      hint(ZYDIS_MNEMONIC_PREFETCHT1),
                                      hint(ZYDIS_MNEMONIC_PREFETCHT2),
                                      hint(ZYDIS_MNEMONIC_PREFETCHW),
                                      hint(ZYDIS_MNEMONIC_PREFETCHWT1),
                                      memory_row<CacheLine>(ZYDIS_MNEMONIC_CLFLUSH, forms::m, 0),
                                      memory_row<CacheLine>(ZYDIS_MNEMONIC_CLFLUSHOPT, forms::m, 0),
                                      memory_row<CacheLine>(ZYDIS_MNEMONIC_CLWB, forms::m, 0),
                                      plain(ZYDIS_MNEMONIC_CBW, &op_extend_accumulator<u16>),
                                      plain(ZYDIS_MNEMONIC_CWDE, &op_extend_accumulator<u32>),
                                      plain(ZYDIS_MNEMONIC_CDQE, &op_extend_accumulator<u64>),
                                      plain(ZYDIS_MNEMONIC_CWD, &op_sign_to_dx<u16>),
                                      plain(ZYDIS_MNEMONIC_CDQ, &op_sign_to_dx<u32>),
                                      plain(ZYDIS_MNEMONIC_CQO, &op_sign_to_dx<u64>),
                                      plain(ZYDIS_MNEMONIC_LAHF, &op_lahf),
                                      plain(ZYDIS_MNEMONIC_SAHF, &op_sahf),
                                      plain(ZYDIS_MNEMONIC_CLC, &op_clc),
                                      plain(ZYDIS_MNEMONIC_STC, &op_stc),
                                      plain(ZYDIS_MNEMONIC_CMC, &op_cmc),
                                      plain(ZYDIS_MNEMONIC_CLD, &op_cld),
                                      plain(ZYDIS_MNEMONIC_STD, &op_std),
                                      plain(ZYDIS_MNEMONIC_XLAT, &op_xlat),
                                      plain(ZYDIS_MNEMONIC_SALC, &op_salc),
                                      memory_row<Bound<u16>>(ZYDIS_MNEMONIC_BOUND, forms::r_m, 16),
                                      memory_row<Bound<u32>>(ZYDIS_MNEMONIC_BOUND, forms::r_m, 32),
                                      ending(plain(ZYDIS_MNEMONIC_UD2, &op_undefined))};

}  // namespace

std::span<const Row> rows_misc() {
  return rows;
}

}  // namespace softsnp::cpu

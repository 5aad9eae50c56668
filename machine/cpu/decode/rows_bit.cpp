// APM volume 3: bit tests and scans, BMI1, BMI2, ADX, BSWAP, MOVBE, CRC32.
#include "machine/cpu/decode/rows.hpp"
#include "machine/cpu/exec/bit_ops.hpp"

namespace softsnp::cpu {
namespace {

template <class T>
inline constexpr u16 bits = sizeof(T) * 8;

template <class F, class T>
constexpr std::array<Row, 4> bit_test_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<T>, &op_bit_test_rr<F, T>),
          row(m, forms::r_i, bits<T>, &op_bit_test_ri<F, T>),
          memory_row<BitTestMR<F, T>>(m, forms::m_r, bits<T>),
          memory_row<BitTestMI<F, T>>(m, forms::m_i, bits<T>)};
}
template <class F>
constexpr auto bit_test(ZydisMnemonic m) {
  return join(bit_test_of_size<F, u16>(m), bit_test_of_size<F, u32>(m),
              bit_test_of_size<F, u64>(m));
}

template <class F, class T>
constexpr std::array<Row, 2> scan_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<T>, &op_scan_rr<F, T>),
          memory_row<ScanRM<F, T>>(m, forms::r_m, bits<T>)};
}
template <class F>
constexpr auto scan_16_32_64(ZydisMnemonic m) {
  return join(scan_of_size<F, u16>(m), scan_of_size<F, u32>(m), scan_of_size<F, u64>(m));
}
template <class F>
constexpr auto scan_32_64(ZydisMnemonic m) {
  return join(scan_of_size<F, u32>(m), scan_of_size<F, u64>(m));
}

// r/m is the last operand.
template <class F, class T>
constexpr std::array<Row, 2> last_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r_r, bits<T>, &op_bmi_rrr<F, T>),
          memory_row<BmiRRM<F, T>>(m, forms::r_r_m, bits<T>)};
}
template <class F>
constexpr auto last(ZydisMnemonic m) {
  return join(last_of_size<F, u32>(m), last_of_size<F, u64>(m));
}
// r/m is the middle operand.
template <class F, class T>
constexpr std::array<Row, 2> middle_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r_r, bits<T>, &op_bmi_rrr<F, T>),
          memory_row<BmiRMR<F, T>>(m, forms::r_m_r, bits<T>)};
}
template <class F>
constexpr auto middle(ZydisMnemonic m) {
  return join(middle_of_size<F, u32>(m), middle_of_size<F, u64>(m));
}

template <class F, class T>
constexpr std::array<Row, 2> carry_add_of_size(ZydisMnemonic m) {
  return {row(m, forms::r_r, bits<T>, &op_carry_add_rr<F, T>),
          memory_row<CarryAddRM<F, T>>(m, forms::r_m, bits<T>)};
}

template <class T>
constexpr std::array<Row, 3> swap_of_size() {
  return {row(ZYDIS_MNEMONIC_BSWAP, forms::r, bits<T>, &op_bswap<T>),
          memory_row<MovbeRM<T>>(ZYDIS_MNEMONIC_MOVBE, forms::r_m, bits<T>),
          memory_row<MovbeMR<T>>(ZYDIS_MNEMONIC_MOVBE, forms::m_r, bits<T>)};
}

template <class T>
constexpr std::array<Row, 2> crc32_of_size() {
  return {row(ZYDIS_MNEMONIC_CRC32, forms::r_r, 0, &op_crc32_rr<T>, bits<T>),
          memory_row<Crc32RM<T>>(ZYDIS_MNEMONIC_CRC32, forms::r_m, 0, bits<T>)};
}

template <class T>
constexpr std::array<Row, 2> rorx_of_size() {
  return {row(ZYDIS_MNEMONIC_RORX, forms::r_r_i, bits<T>, &op_rorx_rri<T>),
          memory_row<RorxRMI<T>>(ZYDIS_MNEMONIC_RORX, forms::r_m_i, bits<T>)};
}

constexpr auto rows = join(
    bit_test<alu::Bt>(ZYDIS_MNEMONIC_BT), bit_test<alu::Bts>(ZYDIS_MNEMONIC_BTS),
    bit_test<alu::Btr>(ZYDIS_MNEMONIC_BTR), bit_test<alu::Btc>(ZYDIS_MNEMONIC_BTC),
    scan_16_32_64<alu::Bsf>(ZYDIS_MNEMONIC_BSF), scan_16_32_64<alu::Bsr>(ZYDIS_MNEMONIC_BSR),
    scan_16_32_64<alu::Tzcnt>(ZYDIS_MNEMONIC_TZCNT),
    scan_16_32_64<alu::Lzcnt>(ZYDIS_MNEMONIC_LZCNT),
    scan_16_32_64<alu::Popcnt>(ZYDIS_MNEMONIC_POPCNT), scan_32_64<alu::Blsr>(ZYDIS_MNEMONIC_BLSR),
    scan_32_64<alu::Blsi>(ZYDIS_MNEMONIC_BLSI), scan_32_64<alu::Blsmsk>(ZYDIS_MNEMONIC_BLSMSK),
    last<alu::Andn>(ZYDIS_MNEMONIC_ANDN), last<alu::Pdep>(ZYDIS_MNEMONIC_PDEP),
    last<alu::Pext>(ZYDIS_MNEMONIC_PEXT), middle<alu::Bextr>(ZYDIS_MNEMONIC_BEXTR),
    middle<alu::Bzhi>(ZYDIS_MNEMONIC_BZHI), middle<alu::Shlx>(ZYDIS_MNEMONIC_SHLX),
    middle<alu::Shrx>(ZYDIS_MNEMONIC_SHRX), middle<alu::Sarx>(ZYDIS_MNEMONIC_SARX),
    carry_add_of_size<alu::Adcx, u32>(ZYDIS_MNEMONIC_ADCX),
    carry_add_of_size<alu::Adcx, u64>(ZYDIS_MNEMONIC_ADCX),
    carry_add_of_size<alu::Adox, u32>(ZYDIS_MNEMONIC_ADOX),
    carry_add_of_size<alu::Adox, u64>(ZYDIS_MNEMONIC_ADOX), swap_of_size<u16>(),
    swap_of_size<u32>(), swap_of_size<u64>(), crc32_of_size<u8>(), crc32_of_size<u16>(),
    crc32_of_size<u32>(), crc32_of_size<u64>(), rorx_of_size<u32>(), rorx_of_size<u64>());

}  // namespace

std::span<const Row> rows_bit() {
  return rows;
}

}  // namespace softsnp::cpu

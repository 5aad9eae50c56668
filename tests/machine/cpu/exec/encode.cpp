#include "tests/machine/cpu/exec/encode.hpp"

#include "tests/machine/cpu/exec/native.hpp"

namespace softsnp::cpu::test {
namespace {

bool is_wide(ZydisMachineMode mode) {
  return mode == ZYDIS_MACHINE_MODE_LONG_64;
}

ZydisRegister general_register(u16 bits, ZydisMachineMode mode, Random& random) {
  const u64 count = is_wide(mode) ? 16 : 8;
  switch (bits) {
    case 8:
      // Low and high registers, or those that need REX.
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_AL + random.below(is_wide(mode) ? 20 : 8));
    case 16:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_AX + random.below(count));
    case 64:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + random.below(count));
    default:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_EAX + random.below(count));
  }
}

bool fits_as_count(ZydisMnemonic m) {
  switch (m) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
    case ZYDIS_MNEMONIC_RORX:
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT:
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
      return true;
    default:
      return false;
  }
}

bool counts_in_cl(ZydisMnemonic m) {
  return fits_as_count(m) && m != ZYDIS_MNEMONIC_BT && m != ZYDIS_MNEMONIC_BTS &&
         m != ZYDIS_MNEMONIC_BTR && m != ZYDIS_MNEMONIC_BTC;
}

i64 immediate(const Row& row, u16 bits, Random& random) {
  if (row.mnemonic == ZYDIS_MNEMONIC_ENTER) {
    return static_cast<i64>(random.below(4));
  }
  if (row.mnemonic == ZYDIS_MNEMONIC_RET) {
    return static_cast<i64>(random.below(32));
  }
  if (fits_as_count(row.mnemonic)) {
    return static_cast<i64>(random.chance(2) ? random.below(66) : random.below(256));
  }
  const u64 value = random.value();
  switch (random.chance(2) ? 8 : bits) {
    case 8:
      return static_cast<i8>(value);
    case 16:
      return static_cast<i16>(value);
    case 64:
      if (row.mnemonic == ZYDIS_MNEMONIC_MOV && row.form == forms::r_i) {
        return static_cast<i64>(value);
      }
      return static_cast<i32>(value);
    default:
      return static_cast<i32>(value);
  }
}

ZydisEncoderOperand memory(u16 bits, MemoryStyle style, ZydisMachineMode mode, Random& random) {
  ZydisEncoderOperand operand = {};
  operand.type = ZYDIS_OPERAND_TYPE_MEMORY;
  operand.mem.size = bits / 8;
  const bool address32 = style == MemoryStyle::address32 || !is_wide(mode);
  const auto address_register = [&] { return general_register(address32 ? 32 : 64, mode, random); };
  operand.mem.displacement =
      random.chance(2) ? static_cast<i8>(random.next()) : static_cast<i16>(random.next()) * 16;
  if (style == MemoryStyle::absolute) {
    operand.mem.displacement = static_cast<i64>(place::window + 200 + random.below(100));
    return operand;
  }
  operand.mem.base = address_register();
  if (style != MemoryStyle::base && random.below(4) != 0) {
    operand.mem.index = address_register();
    if (operand.mem.index == ZYDIS_REGISTER_RSP || operand.mem.index == ZYDIS_REGISTER_ESP) {
      operand.mem.index = ZYDIS_REGISTER_NONE;
    } else {
      operand.mem.scale = static_cast<ZyanU8>(1 << random.below(4));
    }
  }
  return operand;
}

u16 operand_bits(const Row& row, unsigned index) {
  if (index == 1 && row.source_bits != 0) {
    return row.source_bits;
  }
  if (index == 0 && row.bits == 0 && row.source_bits != 0) {  // CRC32
    return row.source_bits == 64 ? 64 : 32;
  }
  return row.bits;
}

u16 memory_bits(const Row& row, unsigned index, Random& random) {
  if (row.mnemonic == ZYDIS_MNEMONIC_BOUND) {
    return static_cast<u16>(row.bits * 2);
  }
  if (row.form == forms::m_s) {
    return 16;
  }
  if (row.bits == 0 && row.source_bits == 0) {  // whatever the encoder takes
    constexpr u16 sizes[] = {0, 8, 16, 32, 64, 128, 512};
    return sizes[random.below(std::size(sizes))];
  }
  if (row.mnemonic == ZYDIS_MNEMONIC_MOVSXD) {
    return 32;
  }
  if (row.mnemonic == ZYDIS_MNEMONIC_LEA) {
    return random.chance(2) ? 64 : row.bits;
  }
  return operand_bits(row, index);
}

// Where relative branches go; they lie 40h bytes before it.
u64 branch_pad(ZydisMachineMode mode) {
  return is_wide(mode) ? place::pad : place::pad & 0xFFFF;
}

bool is_branch_relative(const Row& row) {
  return row.form == forms::rel;
}

}  // namespace

std::string Encoding::text() const {
  ZydisFormatter formatter;
  ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
  char line[128] = {};
  ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                  instruction.operand_count_visible, line, sizeof line,
                                  place::instruction, nullptr);
  std::string result = line;
  result += " [";
  for (const u8 byte : bytes) {
    constexpr char digits[] = "0123456789ABCDEF";
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result + "]";
}

std::optional<Encoding> decode(const std::vector<u8>& bytes, ZydisMachineMode mode) {
  ZydisDecoder decoder;
  const ZydisStackWidth stack = mode == ZYDIS_MACHINE_MODE_LONG_64     ? ZYDIS_STACK_WIDTH_64
                                : mode == ZYDIS_MACHINE_MODE_LEGACY_32 ? ZYDIS_STACK_WIDTH_32
                                                                       : ZYDIS_STACK_WIDTH_16;
  ZydisDecoderInit(&decoder, mode, stack);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
  ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
  Encoding result;
  result.bytes = bytes;
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(),
                                           &result.instruction, result.operands))) {
    return std::nullopt;
  }
  return result;
}

std::optional<Encoding> encode(const Row& row, ZydisMachineMode mode, MemoryStyle style,
                               Random& random) {
  ZydisEncoderRequest request = {};
  request.machine_mode = mode;
  request.mnemonic = row.mnemonic;
  if (style == MemoryStyle::gs && has_memory(row.form)) {
    request.prefixes = ZYDIS_ATTRIB_HAS_SEGMENT_GS;
  }
  Form rest = row.form == forms::any ? forms::none : row.form;
  if ((rest & 15) == static_cast<Form>(Operand::far)) {
    request.branch_type = ZYDIS_BRANCH_TYPE_FAR;
    rest >>= 4;
  }
  for (; rest != 0; rest >>= 4) {
    const unsigned index = request.operand_count++;
    ZydisEncoderOperand& operand = request.operands[index];
    const u16 bits = operand_bits(row, index);
    switch (static_cast<Operand>(rest & 15)) {
      case Operand::reg:
        operand.type = ZYDIS_OPERAND_TYPE_REGISTER;
        operand.reg.value = general_register(bits, mode, random);
        if ((index == 1 || index == 2) && rest < 16 && counts_in_cl(row.mnemonic)) {
          operand.reg.value = ZYDIS_REGISTER_CL;
        }
        break;
      case Operand::mem:
        operand = memory(memory_bits(row, index, random), style, mode, random);
        break;
      case Operand::imm:
        operand.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        operand.imm.s = immediate(row, bits, random);
        break;
      case Operand::rel:
        operand.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        operand.imm.u = branch_pad(mode);
        break;
      case Operand::segment:
        operand.type = ZYDIS_OPERAND_TYPE_REGISTER;
        operand.reg.value = static_cast<ZydisRegister>(ZYDIS_REGISTER_ES + random.below(6));
        break;
      default:
        return std::nullopt;
    }
  }
  if (row.mnemonic == ZYDIS_MNEMONIC_NOP && row.form == forms::r_r) {
    // The encoder knows only 0F 0D, which does not exist.
    const std::vector<u8> bytes = {0x0F, static_cast<u8>(0x18 + random.below(8)),
                                   static_cast<u8>(0xC0 + random.below(64))};
    return decode(bytes, mode);
  }
  if (request.operand_count == 0 || row.form == forms::i || row.form == forms::i_i ||
      row.form == forms::s) {
    request.operand_size_hint = row.bits == 16   ? ZYDIS_OPERAND_SIZE_HINT_16
                                : row.bits == 32 ? ZYDIS_OPERAND_SIZE_HINT_32
                                : row.bits == 64 ? ZYDIS_OPERAND_SIZE_HINT_64
                                                 : ZYDIS_OPERAND_SIZE_HINT_NONE;
  }
  if (is_branch_relative(row) && random.chance(2)) {
    request.branch_width = row.bits == 16 ? ZYDIS_BRANCH_WIDTH_16 : ZYDIS_BRANCH_WIDTH_32;
  }
  u8 buffer[15];
  ZyanUSize length = sizeof buffer;
  const ZyanStatus status = is_branch_relative(row)
                                ? ZydisEncoderEncodeInstructionAbsolute(&request, buffer, &length,
                                                                        branch_pad(mode) - 0x40)
                                : ZydisEncoderEncodeInstruction(&request, buffer, &length);
  if (!ZYAN_SUCCESS(status)) {
    return std::nullopt;
  }
  return decode(std::vector<u8>(buffer, buffer + length), mode);
}

std::string name(const Row& row) {
  std::string result = ZydisMnemonicGetString(row.mnemonic);
  if (row.form == forms::any) {
    return result + " any";
  }
  constexpr const char* kinds[] = {"",    "reg", "mem", "imm", "rel", "pointer", "xmm",
                                   "mmx", "st",  "seg", "cr",  "dr",  "far",     "other"};
  for (Form rest = row.form; rest != 0; rest >>= 4) {
    result += std::string(" ") + kinds[rest & 15];
  }
  if (row.bits != 0) {
    result += " " + std::to_string(row.bits);
  }
  if (row.source_bits != 0) {
    result += " from " + std::to_string(row.source_bits);
  }
  return result;
}

}  // namespace softsnp::cpu::test

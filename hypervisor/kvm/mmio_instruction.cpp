#include "hypervisor/kvm/mmio_instruction.hpp"

#include "arch/x86/registers.hpp"

namespace softsnp::kvm {
namespace rflags_bits = x86::rflags;

bool MmioEmulator::Instruction::decode(std::span<const u8> bytes, unsigned bits) {
  ZydisDecoder decoder;
  const ZydisMachineMode mode = bits == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                                : bits == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                             : ZYDIS_MACHINE_MODE_LEGACY_16;
  const ZydisStackWidth width = bits == 64   ? ZYDIS_STACK_WIDTH_64
                                : bits == 32 ? ZYDIS_STACK_WIDTH_32
                                             : ZYDIS_STACK_WIDTH_16;
  return ZYAN_SUCCESS(ZydisDecoderInit(&decoder, mode, width)) &&
         ZYAN_SUCCESS(
             ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &decoded, operands));
}

bool MmioEmulator::Instruction::is_movs() const {
  switch (decoded.mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
      return decoded.meta.category == ZYDIS_CATEGORY_STRINGOP;
    default:
      return false;
  }
}

bool MmioEmulator::Instruction::is_string() const {
  switch (decoded.mnemonic) {
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
      return true;
    default:
      return is_movs();
  }
}

bool MmioEmulator::Instruction::is_repeated() const {
  return (decoded.attributes &
          (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
}

ArithmeticResult compute(ZydisMnemonic mnemonic, u64 left, u64 right, unsigned size, u64 rflags) {
  const unsigned top = size * 8 - 1;
  const u64 mask = mask_bits(top, 0);
  left &= mask;
  right &= mask;
  u64 value = 0;
  bool carry = false;
  bool overflow = false;
  bool adjust = false;
  bool writes = true;
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_TEST:
      writes = false;
      [[fallthrough]];
    case ZYDIS_MNEMONIC_AND:
      value = left & right;
      break;
    case ZYDIS_MNEMONIC_OR:
      value = left | right;
      break;
    case ZYDIS_MNEMONIC_XOR:
      value = left ^ right;
      break;
    case ZYDIS_MNEMONIC_ADD:
      value = (left + right) & mask;
      carry = value < left;
      overflow = has_bit((left ^ value) & (right ^ value), top);
      adjust = has_bit(left ^ right ^ value, 4);
      break;
    case ZYDIS_MNEMONIC_CMP:
      writes = false;
      [[fallthrough]];
    case ZYDIS_MNEMONIC_SUB:
      value = (left - right) & mask;
      carry = left < right;
      overflow = has_bit((left ^ right) & (left ^ value), top);
      adjust = has_bit(left ^ right ^ value, 4);
      break;
    default:
      return {left, rflags, false};
  }
  u64 flags = rflags & ~rflags_bits::status;
  flags |= carry ? rflags_bits::cf : 0;
  flags |= overflow ? rflags_bits::of : 0;
  flags |= adjust ? rflags_bits::af : 0;
  flags |= value == 0 ? rflags_bits::zf : 0;
  flags |= has_bit(value, top) ? rflags_bits::sf : 0;
  flags |= (__builtin_popcountll(value & 0xFF) & 1) == 0 ? rflags_bits::pf : 0;
  return {value, flags, writes};
}

}  // namespace softsnp::kvm

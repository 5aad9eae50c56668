// Private to the MMIO emulator: the decoded instruction and its arithmetic.
#pragma once

#include <Zydis/Zydis.h>

#include <span>

#include "hypervisor/kvm/mmio_emulator.hpp"

namespace softsnp::kvm {

struct MmioEmulator::Instruction {
  ZydisDecodedInstruction decoded;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

  bool decode(std::span<const u8> bytes, unsigned bits);
  bool is_string() const;
  bool is_movs() const;
  bool is_repeated() const;
  unsigned operand_bytes(unsigned index) const { return operands[index].size / 8u; }
};

struct ArithmeticResult {
  u64 value = 0;
  u64 rflags = 0;
  bool writes_result = false;
};
// AND, OR, XOR, ADD, SUB, TEST, CMP on size bytes (APM3). XCHG leaves flags alone.
ArithmeticResult compute(ZydisMnemonic mnemonic, u64 left, u64 right, unsigned size, u64 rflags);

}  // namespace softsnp::kvm

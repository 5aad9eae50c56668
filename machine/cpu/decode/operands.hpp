// Operands of an instruction as Zydis describes them, brought into an Op.
#pragma once

#include <Zydis/Zydis.h>

#include "machine/cpu/decode/rows.hpp"

namespace softsnp::cpu {

struct Instruction {
  ZydisDecodedInstruction zydis;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

// What rows are matched against.
struct Shape {
  Form form = 0;
  u16 bits = 0, source_bits = 0;
};

Shape shape_of(const Instruction& in);
// Everything of op but fn; rip is that of the instruction.
void fill_operands(const Instruction& in, u64 rip, bool code64, Op& op);
// Everything of info but rip_offset, retired_before, system_id.
void fill_info(const Instruction& in, const u8* bytes, OpInfo& info);
// An Op without operands.
Op blank_op(u8 address_bits);

}  // namespace softsnp::cpu

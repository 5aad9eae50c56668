#include "machine/cpu/decode/operands.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "arch/x86/registers.hpp"
#include "machine/cpu/exec/state.hpp"
#include "machine/cpu/exec/string_ops.hpp"

namespace softsnp::cpu {
namespace {

constexpr u8 number(x86::Segment segment) {
  return static_cast<u8>(segment);
}

Operand register_kind(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
      return Operand::reg;
    case ZYDIS_REGCLASS_X87:
      return Operand::st;
    case ZYDIS_REGCLASS_MMX:
      return Operand::mmx;
    case ZYDIS_REGCLASS_XMM:
      return Operand::xmm;
    case ZYDIS_REGCLASS_SEGMENT:
      return Operand::segment;
    case ZYDIS_REGCLASS_CONTROL:
      return Operand::control;
    case ZYDIS_REGCLASS_DEBUG:
      return Operand::debug;
    default:
      return Operand::other;
  }
}

Operand kind(const ZydisDecodedOperand& operand) {
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      return register_kind(operand.reg.value);
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return operand.mem.type == ZYDIS_MEMOP_TYPE_MEM || operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN
                 ? Operand::mem
                 : Operand::other;
    case ZYDIS_OPERAND_TYPE_POINTER:
      return Operand::pointer;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return operand.imm.is_relative ? Operand::rel : Operand::imm;
    default:
      return Operand::other;
  }
}

bool has_size(Operand kind) {
  return kind == Operand::reg || kind == Operand::mem || kind == Operand::xmm ||
         kind == Operand::mmx || kind == Operand::st;
}

// AL, CL, DL, BL, AH, CH, DH, BH, then SPL and on: to byte offsets among the general registers.
u8 byte_register(ZydisRegister reg) {
  const unsigned id = static_cast<unsigned>(reg) - ZYDIS_REGISTER_AL;
  const unsigned offset = id < 4 ? id * 8 : id < 8 ? (id - 4) * 8 + 1 : (id - 4) * 8;
  return static_cast<u8>(offset);
}

u8 register_number(ZydisRegister reg) {
  if (reg == ZYDIS_REGISTER_NONE) {
    return gpr_zero;
  }
  if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR8) {
    return byte_register(reg);
  }
  return static_cast<u8>(ZydisRegisterGetId(reg));
}

u64 truncate(u64 value, unsigned bits) {
  return bits >= 64 ? value : value & ((u64{1} << bits) - 1);
}

// Segment of a string instruction's source and the like: DS or the override; in 64-bit code only FS
// and GS count (APM3 1.2.4).
u8 default_segment(const ZydisDecodedInstruction& zydis, bool code64) {
  const u64 attributes = zydis.attributes;
  if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) {
    return number(x86::Segment::fs);
  }
  if ((attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0) {
    return number(x86::Segment::gs);
  }
  if (!code64 && (attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS) != 0) {
    return number(x86::Segment::cs);
  }
  if (!code64 && (attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS) != 0) {
    return number(x86::Segment::ss);
  }
  if (!code64 && (attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES) != 0) {
    return number(x86::Segment::es);
  }
  return number(x86::Segment::ds);
}

u8 memory_segment(const ZydisDecodedOperandMem& memory, bool code64) {
  const u8 named = static_cast<u8>(ZydisRegisterGetId(memory.segment));
  if (!code64 || named >= number(x86::Segment::fs)) {
    return named;
  }
  const u8 base = register_number(memory.base);
  const bool stack =
      memory.base != ZYDIS_REGISTER_RIP && memory.base != ZYDIS_REGISTER_EIP &&
      (base == static_cast<u8>(x86::Gpr::rsp) || base == static_cast<u8>(x86::Gpr::rbp));
  return stack ? number(x86::Segment::ss) : number(x86::Segment::ds);
}

void fill_memory(const ZydisDecodedOperandMem& memory, u64 next_rip, bool code64, Op& op) {
  op.disp = memory.disp.value;
  op.seg = memory_segment(memory, code64);
  if (memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP) {
    op.disp = static_cast<i64>(static_cast<u64>(op.disp) + next_rip);
    return;
  }
  op.base = register_number(memory.base);
  if (memory.index != ZYDIS_REGISTER_NONE) {
    op.index = register_number(memory.index);
    op.scale = static_cast<u8>(std::countr_zero(static_cast<unsigned>(memory.scale | 0x100)));
  }
}

Repeat repeat_prefix(const ZydisDecodedInstruction& zydis) {
  Repeat result = Repeat::none;
  for (unsigned i = 0; i < zydis.raw.prefix_count; ++i) {
    const u8 value = zydis.raw.prefixes[i].value;
    result = value == 0xF3 ? Repeat::while_equal : value == 0xF2 ? Repeat::while_not_equal : result;
  }
  return result;
}

}  // namespace

Shape shape_of(const Instruction& in) {
  Shape shape;
  unsigned place = 0;
  const bool far = in.zydis.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  if (far) {
    shape.form = form(Operand::far);
    place = 1;
  }
  shape.bits = in.zydis.operand_width;
  for (unsigned i = 0; i < in.zydis.operand_count_visible; ++i) {
    const Operand one = kind(in.operands[i]);
    shape.form |= static_cast<Form>(one) << (4 * place++);
    if (i == 0 && !far && has_size(one)) {
      shape.bits = in.operands[i].size;
    } else if (i == 1) {
      shape.source_bits = in.operands[i].size;
    }
  }
  return shape;
}

Op blank_op(u8 address_bits) {
  Op op{};
  op.r0 = op.r1 = op.base = op.index = gpr_zero;
  op.seg = number(x86::Segment::ds);
  op.address_bits = address_bits;
  return op;
}

void fill_operands(const Instruction& in, u64 rip, bool code64, Op& op) {
  const ZydisDecodedInstruction& zydis = in.zydis;
  const u64 next_rip = rip + zydis.length;
  op = blank_op(zydis.address_width);
  op.seg = default_segment(zydis, code64);
  u8* const registers[] = {&op.r0, &op.r1, &op.extra};
  unsigned register_count = 0;
  bool has_immediate = false;
  for (unsigned i = 0; i < zydis.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = in.operands[i];
    switch (operand.type) {
      case ZYDIS_OPERAND_TYPE_REGISTER:
        if (register_count < 3) {
          *registers[register_count++] = register_number(operand.reg.value);
        }
        break;
      case ZYDIS_OPERAND_TYPE_MEMORY:
        fill_memory(operand.mem, next_rip, code64, op);
        break;
      case ZYDIS_OPERAND_TYPE_POINTER:
        op.imm = operand.ptr.offset;
        op.disp = operand.ptr.segment;
        break;
      case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        if (operand.imm.is_relative) {
          op.imm = truncate(next_rip + operand.imm.value.u, zydis.operand_width);
        } else if (has_immediate) {
          op.extra = static_cast<u8>(operand.imm.value.u);
        } else {
          op.imm = operand.imm.value.u;
          has_immediate = true;
        }
        break;
      default:
        break;
    }
  }
  if (zydis.meta.category == ZYDIS_CATEGORY_STRINGOP) {
    op.extra = static_cast<u8>(repeat_prefix(zydis));
  }
}

namespace {

// Operands that are read or written, the stack's included: no LEA, and nothing that only hints.
u8 memory_operands(const Instruction& in) {
  const ZydisInstructionCategory category = in.zydis.meta.category;
  if (category == ZYDIS_CATEGORY_NOP || category == ZYDIS_CATEGORY_WIDENOP ||
      category == ZYDIS_CATEGORY_PREFETCH) {
    return 0;
  }
  return static_cast<u8>(std::count_if(
      in.operands, in.operands + in.zydis.operand_count, [](const ZydisDecodedOperand& operand) {
        return operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
               operand.mem.type == ZYDIS_MEMOP_TYPE_MEM && operand.actions != 0;
      }));
}

}  // namespace

void fill_info(const Instruction& in, const u8* bytes, OpInfo& info) {
  info = {};
  info.length = in.zydis.length;
  info.operand_bits = in.zydis.operand_width;
  const Repeat repeat = repeat_prefix(in.zydis);
  const bool wide = (in.zydis.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && in.zydis.raw.rex.W != 0;
  const bool locked = (in.zydis.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
  info.prefixes = static_cast<u8>((locked ? prefix::lock : 0) | (wide ? prefix::rex_w : 0) |
                                  (repeat == Repeat::while_equal       ? prefix::rep
                                   : repeat == Repeat::while_not_equal ? prefix::repne
                                                                       : 0));
  info.memory_operands = memory_operands(in);
  std::memcpy(info.bytes, bytes, info.length);
}

}  // namespace softsnp::cpu

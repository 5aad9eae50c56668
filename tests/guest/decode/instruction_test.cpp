// Zydis is the judge, over random instructions: what we accept it must read in the same way, and
// of the forms we promise we must accept all that it accepts.
#include "guest/decode/instruction.hpp"

#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

namespace softsnp::decode {
namespace {

using Bytes = std::vector<u8>;

struct Judgement {
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

std::optional<Judgement> zydis(const Bytes& bytes) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  Judgement j;
  if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &j.instruction,
                                         j.operands))) {
    return std::nullopt;
  }
  return j;
}

// What Zydis calls the operations that we know.
std::optional<Operation> operation_of(const Judgement& j) {
  const bool to_memory = j.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
  const bool from_memory = j.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
  const auto is_dr = [&](int i) {
    return j.operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(j.operands[i].reg.value) == ZYDIS_REGCLASS_DEBUG;
  };
  switch (j.instruction.mnemonic) {
    case ZYDIS_MNEMONIC_IN:
      return Operation::in;
    case ZYDIS_MNEMONIC_OUT:
      return Operation::out;
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
      return Operation::ins;
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD:
      return Operation::outs;
    case ZYDIS_MNEMONIC_MOV: {
      const auto segment = [&](int i) {
        return j.operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ZydisRegisterGetClass(j.operands[i].reg.value) == ZYDIS_REGCLASS_SEGMENT;
      };
      if (is_dr(0)) {
        return Operation::write_dr;
      }
      if (is_dr(1)) {
        return Operation::read_dr;
      }
      if (segment(0) || segment(1)) {
        return std::nullopt;
      }
      if (to_memory) {
        return j.operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? Operation::store_immediate
                                                                  : Operation::store;
      }
      return from_memory ? std::optional(Operation::load) : std::nullopt;
    }
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      return from_memory ? std::optional(Operation::load) : std::nullopt;
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVSQ:
      return j.instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT ? std::optional(Operation::movs)
                                                                  : std::nullopt;
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
      return Operation::stos;
    case ZYDIS_MNEMONIC_CPUID:
      return Operation::cpuid;
    case ZYDIS_MNEMONIC_RDMSR:
      return Operation::rdmsr;
    case ZYDIS_MNEMONIC_WRMSR:
      return Operation::wrmsr;
    case ZYDIS_MNEMONIC_RDTSC:
      return Operation::rdtsc;
    case ZYDIS_MNEMONIC_RDTSCP:
      return Operation::rdtscp;
    case ZYDIS_MNEMONIC_RDPMC:
      return Operation::rdpmc;
    case ZYDIS_MNEMONIC_WBINVD:
      return Operation::wbinvd;
    case ZYDIS_MNEMONIC_INVD:
      return Operation::invd;
    case ZYDIS_MNEMONIC_VMMCALL:
      return Operation::vmmcall;
    case ZYDIS_MNEMONIC_MONITOR:
    case ZYDIS_MNEMONIC_MONITORX:
      return Operation::monitor;
    case ZYDIS_MNEMONIC_MWAIT:
    case ZYDIS_MNEMONIC_MWAITX:
      return Operation::mwait;
    default:
      return std::nullopt;
  }
}

std::string text(const Bytes& bytes) {
  std::string out;
  for (const u8 byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

// Registers for every number, to compute addresses with.
u64 value_of(x86::Gpr reg) {
  return 0x1111'2222'3333'0000 * (static_cast<u64>(reg) + 1) + 0x10 * static_cast<u64>(reg);
}
constexpr u64 rip = 0x7FFF'1234'5678;

u64 our_address(const Instruction& i) {
  const MemoryOperand& m = i.memory;
  u64 sum = m.displacement + (m.has_base ? value_of(m.base) : 0) +
            (m.has_index ? value_of(m.index) * m.scale : 0) + (m.rip_relative ? rip + i.length : 0);
  return m.address32 ? sum & 0xFFFFFFFF : sum;
}

u64 zydis_address(const Judgement& j, const ZydisDecodedOperand& operand) {
  ZydisRegisterContext context{};
  for (unsigned i = 0; i < 16; ++i) {
    context.values[ZYDIS_REGISTER_RAX + i] = value_of(static_cast<x86::Gpr>(i));
    context.values[ZYDIS_REGISTER_EAX + i] = value_of(static_cast<x86::Gpr>(i)) & 0xFFFFFFFF;
  }
  ZyanU64 out = 0;
  EXPECT_TRUE(
      ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&j.instruction, &operand, rip, &context, &out)));
  return out;
}

void compare_memory(const Instruction& ours, const Judgement& j) {
  const int at = ours.operation == Operation::load ? 1 : 0;
  const ZydisDecodedOperand& operand = j.operands[at];
  EXPECT_EQ(our_address(ours), zydis_address(j, operand));
  EXPECT_EQ(ours.size * 8, operand.size);
  const bool fs = operand.mem.segment == ZYDIS_REGISTER_FS;
  const bool gs = operand.mem.segment == ZYDIS_REGISTER_GS;
  EXPECT_EQ(ours.segment_override, fs || gs);
  if (fs || gs) {
    EXPECT_EQ(ours.segment, fs ? x86::Segment::fs : x86::Segment::gs);
  }
}

void compare_register(const Instruction& ours, const Judgement& j) {
  const ZydisDecodedOperand& operand = j.operands[ours.operation == Operation::load ? 0 : 1];
  const ZydisRegister reg = operand.reg.value;
  const bool high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
  EXPECT_EQ(ours.high_byte, high);
  const ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
  EXPECT_EQ(static_cast<unsigned>(ours.reg), static_cast<unsigned>(full - ZYDIS_REGISTER_RAX));
  if (ours.operation == Operation::load) {
    EXPECT_EQ(ours.register_size * 8, operand.size);
  }
}

void compare_port(const Instruction& ours, const Judgement& j) {
  const ZydisDecodedOperand& port = j.operands[ours.operation == Operation::in ? 1 : 0];
  const ZydisDecodedOperand& data = j.operands[ours.operation == Operation::in ? 0 : 1];
  EXPECT_EQ(ours.size * 8, data.size);
  EXPECT_EQ(ours.port_in_dx, port.type == ZYDIS_OPERAND_TYPE_REGISTER);
  if (!ours.port_in_dx) {
    EXPECT_EQ(ours.port, port.imm.value.u & 0xFF);
  }
}

void compare(const Instruction& ours, const Judgement& j) {
  EXPECT_EQ(ours.length, j.instruction.length);
  EXPECT_EQ(operation_of(j), ours.operation);
  switch (ours.operation) {
    case Operation::load:
    case Operation::store:
      compare_register(ours, j);
      compare_memory(ours, j);
      break;
    case Operation::store_immediate: {
      compare_memory(ours, j);
      const u64 mask = ours.size == 8 ? ~u64{0} : (u64{1} << (8 * ours.size)) - 1;
      EXPECT_EQ(ours.immediate & mask, j.operands[1].imm.value.u & mask);
      break;
    }
    case Operation::in:
    case Operation::out:
      compare_port(ours, j);
      break;
    case Operation::ins:
    case Operation::outs:
    case Operation::movs:
    case Operation::stos: {
      EXPECT_EQ(ours.size * 8, j.operands[ours.operation == Operation::outs ? 1 : 0].size);
      break;
    }
    case Operation::read_dr:
    case Operation::write_dr: {
      const auto& dr = j.operands[ours.operation == Operation::write_dr ? 0 : 1];
      const auto& reg = j.operands[ours.operation == Operation::write_dr ? 1 : 0];
      EXPECT_EQ(ours.debug_register, dr.reg.value - ZYDIS_REGISTER_DR0);
      EXPECT_EQ(static_cast<int>(ours.reg), reg.reg.value - ZYDIS_REGISTER_RAX);
      break;
    }
    default:
      break;
  }
}

// Prefixes of all kinds, an opcode that we know or any, then anything.
Bytes random_instruction(std::mt19937_64& random) {
  static constexpr u8 prefixes[] = {0x66, 0x67, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65};
  static constexpr u8 one[] = {0x63, 0x6C, 0x6D, 0x6E, 0x6F, 0x88, 0x89, 0x8A, 0x8B,
                               0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xAA, 0xAB, 0xC6,
                               0xC7, 0xE4, 0xE5, 0xE6, 0xE7, 0xEC, 0xED, 0xEE, 0xEF};
  static constexpr u8 two[] = {0x01, 0x08, 0x09, 0x21, 0x23, 0x30, 0x31,
                               0x32, 0x33, 0xA2, 0xB6, 0xB7, 0xBE, 0xBF};
  static constexpr u8 group_7[] = {0xC8, 0xC9, 0xD9, 0xF9, 0xFA, 0xFB};
  Bytes out;
  for (u64 n = random() % 4; n > 1; --n) {
    out.push_back(prefixes[random() % sizeof prefixes]);
  }
  if (random() % 30 == 0) {
    out.push_back(0xF0);
  }
  if (random() % 2 == 0) {
    out.push_back(static_cast<u8>(0x40 | random() % 16));
  }
  switch (random() % 8) {
    case 0:
      out.push_back(static_cast<u8>(random()));
      break;
    case 1:
    case 2:
    case 3:
      out.push_back(0x0F);
      out.push_back(two[random() % sizeof two]);
      if (out.back() == 0x01 && random() % 2 == 0) {
        out.push_back(group_7[random() % sizeof group_7]);
      }
      break;
    default:
      out.push_back(one[random() % sizeof one]);
      break;
  }
  for (int i = 0; i < 12; ++i) {
    out.push_back(static_cast<u8>(random() % 4 == 0 ? 0x05 + 0x20 * (random() % 8) : random()));
  }
  out.resize(max_instruction_bytes);
  return out;
}

// Forms that Zydis accepts and that we leave out: MOVSXD to 16 bits; prefixes that make a group 7
// instruction something else or that processors ignore there.
bool left_out(const Judgement& j) {
  if (j.instruction.mnemonic == ZYDIS_MNEMONIC_MOVSXD) {
    return j.operands[0].size == 16;
  }
  const bool group_7 = j.instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && j.instruction.opcode == 1;
  const auto* prefixes = j.instruction.raw.prefixes;
  return group_7 && std::any_of(prefixes, prefixes + j.instruction.raw.prefix_count, [](auto p) {
           return p.value == 0x66 || p.value == 0xF2 || p.value == 0xF3;
         });
}

// Zydis 4.0 takes a SIB byte's base 5 with mod 0 for R13 if REX.B is set. Processors do not decode
// REX.B there: no base, 32 bits of displacement (APM3 1.4.2; binutils; BaseFiveIsNoBase).
bool wrong_in_zydis(const Judgement& j) {
  const auto& raw = j.instruction.raw;
  return (j.instruction.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0 && raw.modrm.mod == 0 &&
         raw.sib.base == 5 && raw.rex.B == 1;
}

// The host's processor judges: mov (,%r14,1), %rax with REX.B.
TEST(Decode, BaseFiveIsNoBase) {
  static const u64 value = 0x1234;
  const u64 at = reinterpret_cast<u64>(&value);
  u64 read = 0;
  asm volatile(
      "mov %1, %%r14\n"
      "mov $0x10, %%r13\n"
      ".byte 0x4b, 0x8b, 0x04, 0x35, 0, 0, 0, 0\n"
      "mov %%rax, %0\n"
      : "=r"(read)
      : "r"(at)
      : "rax", "r13", "r14", "memory");
  EXPECT_EQ(read, value);
  const auto ours = decode(Bytes{0x4b, 0x8b, 0x04, 0x35, 0, 0, 0, 0});
  ASSERT_TRUE(ours.ok());
  EXPECT_EQ(ours->length, 8);
  EXPECT_FALSE(ours->memory.has_base);
  EXPECT_EQ(ours->memory.index, x86::Gpr::r14);
}

TEST(Decode, AgreesWithZydis) {
  std::mt19937_64 random(1);
  unsigned accepted = 0, seen[22] = {};
  for (int i = 0; i < 400'000; ++i) {
    const Bytes bytes = random_instruction(random);
    const auto ours = decode(bytes);
    const auto theirs = zydis(bytes);
    if (theirs && wrong_in_zydis(*theirs)) {
      continue;
    }
    SCOPED_TRACE(text(bytes));
    if (ours) {
      ASSERT_TRUE(theirs.has_value());
      compare(*ours, *theirs);
      ++accepted;
      ++seen[static_cast<unsigned>(ours->operation)];
    } else {
      ASSERT_EQ(ours.error(), DecodeError::unsupported);
      ASSERT_TRUE(!theirs || !operation_of(*theirs) || left_out(*theirs));
    }
    if (testing::Test::HasFailure()) {
      return;
    }
  }
  EXPECT_GT(accepted, 100'000u);
  for (const unsigned count : seen) {
    EXPECT_GT(count, 100u);
  }
}

// A cut instruction asks for more bytes and never reads beyond what it got.
TEST(Decode, CutInstructions) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20'000; ++i) {
    const Bytes bytes = random_instruction(random);
    const auto whole = decode(bytes);
    if (!whole) {
      continue;
    }
    for (usize size = 0; size < whole->length; ++size) {
      const Bytes cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
      const auto result = decode(cut);
      ASSERT_FALSE(result.ok()) << text(bytes) << " cut to " << size;
      ASSERT_EQ(result.error(), DecodeError::truncated) << text(bytes) << " cut to " << size;
    }
  }
}

TEST(Decode, FifteenBytesAtMost) {
  Bytes bytes(14, 0x66);
  bytes.push_back(0xEC);
  EXPECT_TRUE(decode(bytes).ok());
  bytes.insert(bytes.begin(), 0x66);
  const auto result = decode(bytes);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), DecodeError::unsupported);
}

}  // namespace
}  // namespace softsnp::decode

// Every SSE, MMX, AES and PCLMULQDQ encoding of the three legacy opcode maps against the host.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {
namespace {

// Instructions of these sets that work on general registers or caches only, or need more than one
// operand's worth of memory: they have tests of their own.
bool elsewhere(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_CRC32:
    case ZYDIS_MNEMONIC_POPCNT:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
      return true;
    default:
      return false;
  }
}

bool covered(const ZydisDecodedInstruction& instruction) {
  switch (instruction.meta.isa_ext) {
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
      return !elsewhere(instruction.mnemonic);
    default:
      return false;
  }
}

struct Opcode {
  u8 map;  // 1: 0F, 2: 0F38, 3: 0F3A
  u8 byte;
  u8 prefix;  // 0, 66, F3, F2
  bool wide;
};

std::vector<u8> encode(const Opcode& opcode, u8 rex, u8 modrm) {
  std::vector<u8> bytes;
  if (opcode.prefix != 0) {
    bytes.push_back(opcode.prefix);
  }
  rex = static_cast<u8>(rex | (opcode.wide ? 0x48 : 0));
  if (rex != 0) {
    bytes.push_back(static_cast<u8>(0x40 | rex));
  }
  bytes.push_back(0x0F);
  if (opcode.map != 1) {
    bytes.push_back(opcode.map == 2 ? 0x38 : 0x3A);
  }
  bytes.push_back(opcode.byte);
  bytes.push_back(modrm);
  return bytes;
}

class Sweep {
 public:
  Sweep(u64 seed, u32 states, bool unmasked) : bench_(seed), states_(states), unmasked_(unmasked) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  }
  Tally tally;

  void opcode(const Opcode& opcode) {
    // Groups (shifts, MXCSR) choose by ModRM.reg; elsewhere each value is another register.
    for (u8 reg = 0; reg < 8; ++reg) {
      if (one(opcode, 0, static_cast<u8>(0xC0 | reg << 3 | 5)) == Kind::plain && reg == 1) {
        break;
      }
    }
    one(opcode, 5, 0xC1);  // REX.R, REX.B
    one(opcode, 0, 0xE9);
    for (u8 reg = 0; reg < 8; ++reg) {
      if (one(opcode, 0, static_cast<u8>(reg << 3 | 3)) == Kind::plain && reg == 1) {
        break;
      }
    }
  }

 private:
  enum class Kind { absent, plain, group };

  Kind one(const Opcode& opcode, u8 rex, u8 modrm) {
    std::vector<u8> bytes = encode(opcode, rex, modrm);
    const usize start = bytes.size();
    bytes.resize(15, 0x11);
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &in, operands)) ||
        !covered(in)) {
      return Kind::absent;
    }
    // A prefix that the instruction does not use belongs to another row of the sweep.
    if (opcode.prefix == 0x66 && (in.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0) {
      return Kind::absent;
    }
    Trial trial;
    bytes.resize(in.length);
    trial.bytes = bytes;
    trial.has_immediate = in.length > start;
    trial.name = ZydisMnemonicGetString(in.mnemonic);
    trial.name += opcode.wide ? " W" : "";
    for (unsigned i = 0; i < in.operand_count_visible; ++i) {
      const auto& operand = operands[i];
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        const auto class_of = ZydisRegisterGetClass(operand.reg.value);
        const bool rsp = ZydisRegisterGetId(operand.reg.value) == 4 &&
                         class_of != ZYDIS_REGCLASS_XMM && class_of != ZYDIS_REGCLASS_MMX;
        if (rsp) {
          return Kind::plain;
        }
        trial.name += std::string(" ") + ZydisRegisterClassGetString(class_of);
      } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
        trial.memory_bytes = operand.size / 8u;
        trial.alignment = operand.size == 128 ? 16 : 1;
        trial.name += " m" + std::to_string(operand.size);
      } else {
        trial.name += " imm";
      }
    }
    const bool group = groups_.count(opcode.byte) != 0;
    bench_.run(trial, group ? 2 * states_ : states_, unmasked_, tally);
    return in.raw.modrm.reg != 0 || !group ? Kind::plain : Kind::group;
  }

  static const char* ZydisRegisterClassGetString(ZydisRegisterClass value) {
    return value == ZYDIS_REGCLASS_XMM ? "xmm" : value == ZYDIS_REGCLASS_MMX ? "mm" : "r";
  }

  Bench bench_;
  u32 states_;
  bool unmasked_;
  ZydisDecoder decoder_;
  std::set<u8> groups_{0x71, 0x72, 0x73, 0xAE, 0x78};
};

void sweep(u64 seed, u32 states, bool unmasked, const char* name) {
  Sweep sweep(seed, states, unmasked);
  for (u8 map = 1; map <= 3; ++map) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (map == 1 && (byte == 0x38 || byte == 0x3A)) {
        continue;
      }
      for (const u8 prefix : std::initializer_list<u8>{0x00, 0x66, 0xF3, 0xF2}) {
        for (const bool wide : {false, true}) {
          sweep.opcode({map, static_cast<u8>(byte), prefix, wide});
        }
      }
    }
  }
  sweep.tally.print(name);
  EXPECT_EQ(sweep.tally.failures, 0u);
  EXPECT_GT(sweep.tally.forms.size(), 600u);
}

TEST(SseDifferential, MaskedExceptions) {
  sweep(1, 500, false, "SSE, masked");
}
TEST(SseDifferential, UnmaskedExceptions) {
  sweep(2, 500, true, "SSE, unmasked");
}

}  // namespace
}  // namespace softsnp::cpu::fx_test

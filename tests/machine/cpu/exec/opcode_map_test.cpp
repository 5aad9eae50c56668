// Which encodings exist: the whole opcode space against the host processor. What the decoder
// accepts as user-mode code must exist on the host; what the host has and the decoder refuses must
// belong to a feature that these processors do not report.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr int undefined_opcode = 6;

// Extensions of which every user-mode instruction must be there.
const std::set<std::string> promised = {
    "BASE",      "LONGMODE",  "MMX",   "SSE",   "SSE2",       "SSE3",   "SSSE3",
    "SSE4",      "BMI1",      "BMI2",  "LZCNT", "X87",        "MOVBE",  "AES",
    "PCLMULQDQ", "ADOX_ADCX", "PAUSE", "CLFSH", "CLFLUSHOPT", "FXSAVE", "XSAVE"};

bool is_prefix(u8 byte) {
  switch (byte) {
    case 0x26:
    case 0x2E:
    case 0x36:
    case 0x3E:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xF0:
    case 0xF2:
    case 0xF3:
      return true;
    default:
      return (byte & 0xF0) == 0x40;  // REX
  }
}

// Leaves by a way that the trampoline does not see, or asks the kernel for something.
bool leaves(const ZydisDecodedInstruction& in) {
  switch (in.meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_INTERRUPT:
      return true;
    default:
      // These change what the test itself runs with, or wait.
      return in.mnemonic == ZYDIS_MNEMONIC_POPFQ || in.mnemonic == ZYDIS_MNEMONIC_POPF ||
             in.mnemonic == ZYDIS_MNEMONIC_WRPKRU || in.mnemonic == ZYDIS_MNEMONIC_ENTER ||
             in.mnemonic == ZYDIS_MNEMONIC_MWAITX || in.mnemonic == ZYDIS_MNEMONIC_XBEGIN;
  }
}

class OpcodeMap : public testing::Test {
 protected:
  // Every register points into the data; the FPU is as FNINIT leaves it.
  MachineState state() const {
    MachineState s;
    for (u64& reg : s.gpr) {
      reg = place::data + page_size;
    }
    s.gpr[1] = 4;  // RCX counts
    s.rflags = x86::rflags::fixed1 | x86::rflags::if_;
    return s;
  }

  int native_vector(const std::vector<u8>& bytes) {
    Native& native = host();
    std::memset(data_pointer(), 0, place::data_size);
    // XRSTOR and FXRSTOR find a valid image.
    const u32 mxcsr = 0x1F80;
    std::memcpy(data_pointer() + page_size + 16 + 24, &mxcsr, 4);
    native.load(bytes);
    MachineState s = state();
    native.run(s, WithFx::yes);
    return s.vector;
  }

  void check(const std::vector<u8>& bytes) {
    const auto encoding = decode(bytes, ZYDIS_MACHINE_MODE_LONG_64);
    if (!encoding) {
      exec_.load(bytes);
      EXPECT_EQ(exec_.op().fn, &op_undefined) << "Zydis does not know it";
      return;
    }
    std::vector<u8> exact(bytes.begin(), bytes.begin() + encoding->instruction.length);
    exec_.load(exact);
    const bool system = exec_.info().system_id != 0;
    if (system || leaves(encoding->instruction)) {
      return;
    }
    const bool refused = exec_.op().fn == &op_undefined;
    ++checked_;
    const bool absent = native_vector(exact) == undefined_opcode;
    if (!refused && absent) {
      wrong_.insert(encoding->text());
    } else if (refused && !absent) {
      const std::string feature = ZydisISAExtGetString(encoding->instruction.meta.isa_ext);
      if (features_.insert(feature).second && promised.count(feature) != 0) {
        ADD_FAILURE() << "the decoder refuses " << encoding->text();
      }
    }
  }

  void sweep(std::initializer_list<u8> map) {
    constexpr u8 prefixes[] = {0, 0x66, 0xF2, 0xF3};
    for (const u8 prefix : prefixes) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        const bool escape = map.size() == 0 &&
                            (opcode == 0x0F || opcode == 0x62 || opcode == 0xC4 || opcode == 0xC5);
        const bool escape2 = map.size() == 1 && (opcode == 0x38 || opcode == 0x3A);
        if (escape || escape2 || (map.size() == 0 && is_prefix(static_cast<u8>(opcode)))) {
          continue;
        }
        for (unsigned reg = 0; reg < 8; ++reg) {
          for (const unsigned modrm : {0xC2u, 0x43u, 0xC0u}) {
            std::vector<u8> bytes;
            if (prefix != 0) {
              bytes.push_back(prefix);
            }
            bytes.insert(bytes.end(), map);
            bytes.push_back(static_cast<u8>(opcode));
            bytes.push_back(static_cast<u8>(modrm | reg << 3));
            bytes.insert(bytes.end(), 9, 0x10);
            check(bytes);
          }
        }
      }
    }
  }

  Exec exec_;
  unsigned checked_ = 0;
  std::set<std::string> wrong_, features_;
};

TEST_F(OpcodeMap, AgreesWithTheHost) {
  sweep({});
  sweep({0x0F});
  sweep({0x0F, 0x38});
  sweep({0x0F, 0x3A});
  std::printf("[ encodings] %u compared\n", checked_);
  for (const std::string& text : wrong_) {
    ADD_FAILURE() << "does not exist on the host: " << text;
  }
  for (const std::string& feature : features_) {
    EXPECT_EQ(promised.count(feature), 0u) << feature << " lacks instructions";
    std::printf("[ masked   ] %s\n", feature.c_str());
  }
}

}  // namespace
}  // namespace softsnp::cpu::test

// Every encoding of the escape opcodes D8..DF, and FWAIT, against the host.
#include <gtest/gtest.h>

#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {
namespace {

std::string name_of(const std::vector<u8>& bytes, bool memory) {
  char text[40];
  const usize n = bytes.size();
  std::snprintf(text, sizeof text, "%s%s%02X/%02X%s", n > 2 ? "prefixed " : "",
                n > 2 && bytes[0] == 0x66 ? "16-bit " : "", bytes[n - 2],
                memory ? bytes[n - 1] >> 3 : bytes[n - 1], memory ? " mem" : "");
  return text;
}

bool ten_bytes(u8 opcode, u8 reg) {
  return (opcode == 0xDB && reg >= 5) || (opcode == 0xDF && (reg == 4 || reg == 6));
}

void sweep(Bench& bench, std::initializer_list<u8> prefixes, u32 states, bool unmasked,
           Tally& tally) {
  for (unsigned opcode = 0xD8; opcode <= 0xDF; ++opcode) {
    for (unsigned modrm = 0; modrm < 0x100; ++modrm) {
      const bool memory = modrm < 0xC0;
      if (memory && (modrm & 0xC7) != 3) {
        continue;  // [RBX]
      }
      Trial trial;
      trial.bytes.assign(prefixes);
      trial.bytes.push_back(static_cast<u8>(opcode));
      trial.bytes.push_back(static_cast<u8>(modrm));
      const bool ten = ten_bytes(static_cast<u8>(opcode), static_cast<u8>(modrm >> 3 & 7));
      trial.memory_bytes = memory ? (ten ? 10 : 8) : 0;
      trial.name = name_of(trial.bytes, memory);
      trial.may_be_undefined = true;
      bench.run(trial, states, unmasked, tally);
    }
  }
}

TEST(X87Differential, MaskedExceptions) {
  Bench bench(11);
  Tally tally;
  sweep(bench, {}, 1000, false, tally);
  tally.print("x87, masked");
  EXPECT_EQ(tally.failures, 0u);
  EXPECT_GT(tally.forms.size(), 550u);
}

TEST(X87Differential, UnmaskedExceptions) {
  Bench bench(12);
  Tally tally;
  sweep(bench, {}, 1000, true, tally);
  tally.print("x87, unmasked");
  EXPECT_EQ(tally.failures, 0u);
}

// The 16-bit environment formats; the instruction pointer with a prefix.
TEST(X87Differential, OperandSizePrefix) {
  Bench bench(13);
  Tally tally;
  sweep(bench, {0x66}, 200, true, tally);
  sweep(bench, {0x48}, 200, true, tally);
  tally.print("x87, prefixed");
  EXPECT_EQ(tally.failures, 0u);
}

TEST(X87Differential, Fwait) {
  Bench bench(14);
  Tally tally;
  Trial trial;
  trial.bytes = {0x9B};
  trial.name = "FWAIT";
  bench.run(trial, 1000, true, tally);
  tally.print("FWAIT");
  EXPECT_EQ(tally.failures, 0u);
}

}  // namespace
}  // namespace softsnp::cpu::fx_test

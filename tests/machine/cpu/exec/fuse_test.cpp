// A compare and its branch fused into one op do what the two do one after the other.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"
#include "tests/machine/cpu/exec/prepare.hpp"

namespace softsnp::cpu::test {
namespace {

class Fuse : public testing::Test {
 protected:
  static constexpr u64 end_rip = place::instruction + 16;

  Fuse() {
    host();
    exec_.memory().use_tlb(exec_.core(), true);
  }

  // Runs a block of these ops; the last one leaves it.
  MachineState run(std::span<const Op> ops, const MachineState& before) {
    Core& core = exec_.core();
    Op copy[2] = {};
    OpInfo info[2] = {};
    std::copy(ops.begin(), ops.end(), copy);
    info[1].rip_offset = 14;
    info[1].retired_before = 1;
    Block block;
    block.rip = place::instruction;
    block.end_rip = end_rip;
    block.instruction_count = 2;
    block.op_count = static_cast<u32>(ops.size());
    block.ops = copy;
    block.info = info;
    std::memcpy(core.state.gpr, before.gpr, sizeof before.gpr);
    core.state.set_rflags(before.rflags);
    core.budget = core.budget_start = 100;
    softsnp::cpu::run(core, &block);
    MachineState after = before;
    std::memcpy(after.gpr, core.state.gpr, sizeof after.gpr);
    after.rflags = core.state.rflags();
    after.rip = core.state.rip;
    after.vector = core.stop == Stop::fault ? core.fault.vector : -1;
    EXPECT_EQ(core.budget, after.vector >= 0 ? 100 : 98);
    return after;
  }

  Exec exec_;
  Exec decoder_;
};

TEST_F(Fuse, AgreesWithTheTwoOps) {
  Random random(3);
  std::set<Handler> seen;
  u64 states = 0, taken = 0;
  const std::vector<std::vector<u8>> prefixes = {{},     {0x48},       {0x66},
                                                 {0x65}, {0x65, 0x48}, {0x65, 0x66}};
  for (const auto& prefix : prefixes) {
    for (unsigned i = 0; i < 256 * 24; ++i) {
      std::vector<u8> bytes = prefix;
      constexpr u8 modrm[] = {0xC2, 0x43, 0x04};
      bytes.push_back(static_cast<u8>(i / 24));
      bytes.push_back(static_cast<u8>(modrm[i % 3] | (i % 24) / 3 << 3));
      for (unsigned n = 0; n < 8; ++n) {
        bytes.push_back(n == 0 ? u8{0x33} : static_cast<u8>(random.next()));  // SIB [RBX+RSI]
      }
      const auto encoding = decode(bytes, ZYDIS_MACHINE_MODE_LONG_64);
      if (!encoding || !preparable(*encoding) || decoder_.load(bytes) != DecodeStatus::ok) {
        continue;
      }
      const Op first = decoder_.op();
      for (unsigned condition = 0; condition < 16; ++condition) {
        decoder_.load(
            std::vector<u8>{static_cast<u8>(0x70 + condition), static_cast<u8>(random.next())},
            end_rip - 2);
        const Op ops[2] = {first, decoder_.op()};
        Op fused = first;
        if (!Decoder::fuse(fused, ops[1], end_rip) || !seen.insert(fused.fn).second) {
          continue;
        }
        for (unsigned n = 0; n < 60; ++n, ++states) {
          MachineState before;
          prepare_state(*encoding, before, random);
          const MachineState two = run(ops, before);
          const MachineState one = run({&fused, 1}, before);
          ASSERT_EQ(std::memcmp(one.gpr, two.gpr, sizeof one.gpr), 0) << encoding->text();
          ASSERT_EQ(one.rflags, two.rflags) << encoding->text();
          ASSERT_EQ(one.rip, two.rip) << encoding->text() << " condition " << condition;
          ASSERT_EQ(one.vector, two.vector) << encoding->text();
          taken += one.rip != end_rip ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 744u);
  EXPECT_GT(taken, states / 4);
  std::printf("[ fused    ] %zu handlers, %llu states\n", seen.size(),
              static_cast<unsigned long long>(states));
}

TEST_F(Fuse, OnlyPlainBranches) {
  decoder_.load(std::vector<u8>{0x48, 0x39, 0xD8});  // CMP RAX, RBX
  Op first = decoder_.op();
  // A target that is not canonical needs its check.
  decoder_.load(std::vector<u8>{0x74, 0x7F}, 0x00007FFFFFFFFFFE - 2);
  EXPECT_FALSE(Decoder::fuse(first, decoder_.op(), 0x00007FFFFFFFFFFE));
  decoder_.load(std::vector<u8>{0xE2, 0x10});  // LOOP
  EXPECT_FALSE(Decoder::fuse(first, decoder_.op(), place::instruction + 2));
  EXPECT_EQ(first.fn, [&] {
    decoder_.load(std::vector<u8>{0x48, 0x39, 0xD8});
    return decoder_.op().fn;
  }());
}

}  // namespace
}  // namespace softsnp::cpu::test

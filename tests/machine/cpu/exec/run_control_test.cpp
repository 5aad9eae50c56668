// What happens between and inside instructions: budget, chunks of repeated instructions, partial
// progress, interrupt windows, overwritten code, slow and fast ways to memory.
#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.hpp"
#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr unsigned rax = 0, rcx = 1, rbx = 3, rsp = 4, rsi = 6, rdi = 7;

class RunControl : public testing::Test {
 protected:
  RunControl() {
    host();
    std::memset(data_pointer(), 0, place::data_size);
    exec_.memory().use_tlb(core(), true);
  }
  Core& core() { return exec_.core(); }
  int run(const std::vector<u8>& bytes) {
    exec_.load(bytes);
    exec_.run(state_);
    return state_.vector;
  }

  Exec exec_;
  MachineState state_;
};

// Whole areas, all directions and overlaps, against the host.
TEST_F(RunControl, LongCopiesAgreeWithTheHost) {
  Random random(7);
  const std::vector<std::vector<u8>> instructions = {
      {0xF3, 0xA4}, {0xF3, 0x66, 0xA5}, {0xF3, 0xA5},      {0xF3, 0x48, 0xA5},
      {0xF3, 0xAA}, {0xF3, 0x66, 0xAB}, {0xF3, 0xAB},      {0xF3, 0x48, 0xAB},
      {0xF3, 0xA6}, {0xF2, 0xAE},       {0xF3, 0x48, 0xA7}};
  std::vector<u8> before(place::data_size), native(place::data_size);
  for (const auto& bytes : instructions) {
    exec_.load(bytes);
    host().load(bytes);
    for (unsigned n = 0; n < 300; ++n) {
      for (usize i = 0; i < before.size(); ++i) {
        before[i] = n % 2 == 0 ? static_cast<u8>(random.next()) : u8{0};
      }
      MachineState start;
      start.rflags =
          x86::rflags::fixed1 | x86::rflags::if_ | (random.chance(2) ? x86::rflags::df : 0);
      start.gpr[rax] = random.value();
      start.gpr[rcx] = random.below(3000);
      start.gpr[rsi] = place::data + random.below(place::data_size);
      start.gpr[rdi] = random.chance(2) ? start.gpr[rsi] + random.below(64) - 32
                                        : place::data + random.below(place::data_size);
      std::memcpy(data_pointer(), before.data(), before.size());
      MachineState theirs = start;
      host().run(theirs, WithFx::no);
      std::memcpy(native.data(), data_pointer(), native.size());
      std::memcpy(data_pointer(), before.data(), before.size());
      MachineState ours = start;
      exec_.run(ours);
      ASSERT_EQ(std::memcmp(native.data(), data_pointer(), native.size()), 0);
      for (unsigned i = 0; i < 16; ++i) {
        ASSERT_EQ(theirs.gpr[i], ours.gpr[i]) << i;
      }
      ASSERT_EQ(theirs.vector, ours.vector);
      ASSERT_EQ(theirs.rip, ours.rip);
    }
  }
}

TEST_F(RunControl, RepeatedInstructionStopsBetweenPages) {
  exec_.load(std::vector<u8>{0xF3, 0xAA});  // REP STOSB
  core().state.gpr[rdi] = place::data + 16;
  core().state.gpr[rcx] = 8000;
  core().state.gpr[rax] = 0xAB;
  // A budget for the instruction itself and none for a second chunk.
  Block block;
  Op ops[2] = {exec_.op(), {}};
  OpInfo info[2] = {exec_.info(), {}};
  ops[1].fn = &op_fall_through;
  info[1].rip_offset = info[0].length;
  info[1].retired_before = 1;
  block.rip = place::instruction;
  block.end_rip = place::instruction + 2;
  block.instruction_count = 1;
  block.op_count = 2;
  block.ops = ops;
  block.info = info;
  core().budget = core().budget_start = 1;
  softsnp::cpu::run(core(), &block);
  EXPECT_EQ(core().stop, Stop::budget);
  EXPECT_EQ(core().state.rip, place::instruction);
  EXPECT_EQ(core().state.gpr[rcx], 8000u - (page_size - 16));
  EXPECT_EQ(core().state.gpr[rdi], place::data + page_size);
  EXPECT_EQ(data_pointer()[page_size - 1], 0xAB);
  EXPECT_EQ(data_pointer()[page_size], 0);
  core().budget = core().budget_start = 100;
  softsnp::cpu::run(core(), &block);
  EXPECT_EQ(core().stop, Stop::need_block);
  EXPECT_EQ(core().state.rip, place::instruction + 2);
  EXPECT_EQ(core().state.gpr[rcx], 0u);
  EXPECT_EQ(data_pointer()[8015], 0xAB);
  EXPECT_EQ(data_pointer()[8016], 0);
}

TEST_F(RunControl, FaultsLeaveNothingBehind) {
  state_.gpr[rbx] = place::data + place::data_size - 4;  // half outside
  state_.gpr[rax] = 5;
  state_.rflags = x86::rflags::fixed1 | x86::rflags::cf;
  EXPECT_EQ(run({0x48, 0x01, 0x03}), 14);  // ADD [RBX], RAX
  EXPECT_EQ(core().fault.address, place::data + place::data_size);
  EXPECT_EQ(core().fault.error_code & x86::pf_error::write, x86::pf_error::write);
  EXPECT_EQ(state_.rip, place::instruction);
  EXPECT_EQ(state_.rflags, x86::rflags::fixed1 | x86::rflags::cf);
  EXPECT_EQ(load_le<u32>(data_pointer() + place::data_size - 4), 0u);
  EXPECT_EQ(core().budget, core().budget_start);
}

TEST_F(RunControl, ReadModifyWriteOfReadOnlyMemoryFaultsAsWrite) {
  exec_.memory().set_writable(false);
  exec_.memory().use_tlb(core(), true);
  state_.gpr[rbx] = place::data + 64;
  EXPECT_EQ(run({0x8B, 0x03}), -1);  // fills the TLB for reading
  EXPECT_EQ(run({0xFF, 0x03}), 14);  // INC [RBX]
  EXPECT_NE(core().fault.error_code & x86::pf_error::write, 0u);
  EXPECT_EQ(run({0x0F, 0xB1, 0x0B}), 14);  // CMPXCHG writes in either case
  EXPECT_EQ(run({0x39, 0x03}), -1);        // CMP only reads
}

TEST_F(RunControl, NonCanonicalAddresses) {
  state_.gpr[rbx] = u64{1} << 60;
  EXPECT_EQ(run({0x8B, 0x03}), 13);
  state_.gpr[rsp] = u64{1} << 60;
  EXPECT_EQ(run({0x50}), 12);                    // PUSH: #SS
  EXPECT_EQ(run({0x8B, 0x04, 0x24}), 12);        // [RSP]: #SS
  EXPECT_EQ(run({0xC3}), 12);                    // RET
  EXPECT_EQ(run({0x65, 0x8B, 0x04, 0x24}), 13);  // GS:[RSP]: #GP
}

TEST_F(RunControl, TlbIsUsed) {
  state_.gpr[rbx] = place::data + 64;
  EXPECT_EQ(run({0x8B, 0x03}), -1);
  const u64 calls = exec_.memory().calls();
  EXPECT_EQ(run({0x8B, 0x03}), -1);
  EXPECT_EQ(run({0x01, 0x03}), -1);
  EXPECT_EQ(exec_.memory().calls(), calls);
}

class Supervisor : public RunControl {
 protected:
  Supervisor() { core().state.cpl = 0; }
};

TEST_F(Supervisor, PopfOpensTheWindow) {
  state_.gpr[rsp] = place::window;
  store_le<u64>(window_pointer(), 0x202);
  state_.rflags = x86::rflags::fixed1;
  core().event_pending = true;
  run({0x9D});
  EXPECT_EQ(core().stop, Stop::event);
  EXPECT_EQ(state_.rip, place::instruction + 1);
  EXPECT_EQ(state_.rflags, 0x202u);
  EXPECT_EQ(core().budget, core().budget_start - 1);
  // With IF already set nothing new can happen.
  state_.gpr[rsp] = place::window;
  run({0x9D});
  EXPECT_EQ(core().stop, Stop::need_block);
}

TEST_F(Supervisor, PopfOfTrapOrAlignmentFlagIsForSystem) {
  for (const u64 flag : {x86::rflags::tf, x86::rflags::ac}) {
    state_.gpr[rsp] = place::window;
    store_le<u64>(window_pointer(), 2 | flag);
    state_.rflags = x86::rflags::fixed1;
    run({0x9D});
    EXPECT_EQ(core().stop, Stop::system);
    EXPECT_EQ(state_.gpr[rsp], place::window);
    EXPECT_EQ(state_.rip, place::instruction);
  }
}

TEST_F(Supervisor, StiCastsItsShadow) {
  state_.rflags = x86::rflags::fixed1;
  run({0xFB});
  EXPECT_EQ(core().stop, Stop::event);
  EXPECT_TRUE(core().state.interrupt_shadow);
  EXPECT_EQ(state_.rip, place::instruction + 1);
  EXPECT_EQ(state_.rflags, 0x202u);
  core().state.interrupt_shadow = false;
  run({0xFB});
  EXPECT_EQ(core().stop, Stop::need_block);
  EXPECT_FALSE(core().state.interrupt_shadow);
  run({0xFA});
  EXPECT_EQ(state_.rflags, 2u);
}

TEST_F(Supervisor, FlagInstructionsGoTheSlowWayIfAsked) {
  core().flags_instructions_slow = true;
  state_.gpr[rsp] = place::window + 64;
  for (const u8 opcode : {u8{0x9C}, u8{0x9D}, u8{0xFA}, u8{0xFB}}) {
    run({opcode});
    EXPECT_EQ(core().stop, Stop::system) << int{opcode};
  }
  core().pause_slow = true;
  run({0xF3, 0x90});
  EXPECT_EQ(core().stop, Stop::system);
}

TEST_F(Supervisor, SegmentBases) {
  core().state.kernel_gs_base = 0x1234;
  run({0x0F, 0x01, 0xF8});  // SWAPGS
  EXPECT_EQ(core().state.kernel_gs_base, place::gs_base);
  EXPECT_EQ(core().seg_base[5], 0x1234u);
  state_.gpr[rax] = place::data;
  run({0xF3, 0x48, 0x0F, 0xAE, 0xD8});  // WRGSBASE RAX
  EXPECT_EQ(core().state.seg[5].base, place::data);
  EXPECT_EQ(core().seg_base[5], place::data);
  run({0xF3, 0x48, 0x0F, 0xAE, 0xCB});  // RDGSBASE RBX
  EXPECT_EQ(state_.gpr[rbx], place::data);
  state_.gpr[rax] = u64{1} << 63;
  run({0xF3, 0x48, 0x0F, 0xAE, 0xD8});
  EXPECT_EQ(core().stop, Stop::system);
}

TEST_F(RunControl, UserFlagsAreForSystemToJudge) {
  run({0xFA});
  EXPECT_EQ(core().stop, Stop::system);
  run({0x0F, 0x01, 0xF8});
  EXPECT_EQ(core().stop, Stop::system);
}

}  // namespace
}  // namespace softsnp::cpu::test

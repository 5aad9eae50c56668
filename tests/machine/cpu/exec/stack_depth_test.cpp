// Threaded handlers end in tail calls: however many run, the host's stack must not grow. Every
// handler that an encoding of 64-bit code reaches runs many times, between probes of the stack.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/machine/cpu/exec/encode.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"

namespace softsnp::cpu::test {
namespace {

// Where the probe leaves what it sees: the executor's state that no handler under test uses.
const Op* probe(Core& core, const Op* op) {
  const u64 here = reinterpret_cast<u64>(__builtin_frame_address(0));
  u64& highest = core.state.dr[0];
  u64& lowest = core.state.dr[1];
  highest = highest == 0 || here > highest ? here : highest;
  lowest = lowest == 0 || here < lowest ? here : lowest;
  ++core.state.dr[2];
  return next(core, op);
}

std::string text_of(const std::vector<u8>& bytes) {
  const auto encoding = decode(bytes, ZYDIS_MACHINE_MODE_LONG_64);
  return encoding ? encoding->text() : "no instruction";
}

class StackDepth : public testing::Test {
 protected:
  static constexpr unsigned rounds = 50;

  StackDepth() : exec_(code_mode::size64) { host(); }

  void prepare(Core& core) {
    std::memset(data_pointer(), 0, place::data_size);
    for (unsigned i = 0; i < 16; ++i) {
      core.state.gpr[i] = place::data + page_size;
    }
    core.state.gpr[1] = 4;
    core.state.gpr[2] = 16;  // an index
    core.seg_base[static_cast<u8>(x86::Segment::gs)] = 0;
    core.state.set_rflags(x86::rflags::fixed1);
    core.state.dr[0] = core.state.dr[1] = core.state.dr[2] = 0;
    core.budget = core.budget_start = 2 * rounds;
  }

  // A block of the probe, the ops given and a closing op, its own successor on all ways.
  void run(std::span<const Op> tested, bool branch) {
    Core& core = exec_.core();
    Op ops[5] = {};
    OpInfo info[5] = {};
    ops[0].fn = &probe;
    std::copy(tested.begin(), tested.end(), ops + 1);
    const u32 count = static_cast<u32>(tested.size()) + 1;
    if (!branch) {
      ops[count].fn = &op_fall_through;
    }
    Block block;
    block.rip = place::instruction;
    block.end_rip = place::instruction + 8;
    block.instruction_count = 1;
    block.op_count = count + 1;
    block.ops = ops;
    block.info = info;
    block.taken = block.fall_through = {core.context, &block};
    // A computed branch goes to 0, or to where the registers point.
    for (const u64 target : {u64{0}, place::data + page_size}) {
      core.jumps[jump_index(target)] = {target, core.context, &block, 0};
    }
    prepare(core);
    softsnp::cpu::run(core, &block);
  }

  Exec exec_;
};

TEST_F(StackDepth, NoHandlerGrowsIt) {
  if (!threaded) {
    GTEST_SKIP() << "handlers are not threaded in this build";
  }
  std::set<Handler> seen;
  Exec decoder(code_mode::size64);
  const std::vector<std::vector<u8>> maps = {{},
                                             {0x0F},
                                             {0x0F, 0x38},
                                             {0x0F, 0x3A},
                                             {0xC4, 0xE2, 0x78},
                                             {0xC4, 0xE2, 0x79},
                                             {0xC4, 0xE2, 0x7A},
                                             {0xC4, 0xE2, 0x7B},
                                             {0xC4, 0xE2, 0xF8},
                                             {0xC4, 0xE2, 0xF9},
                                             {0xC4, 0xE2, 0xFA},
                                             {0xC4, 0xE2, 0xFB},
                                             {0xC4, 0xE3, 0x7B},
                                             {0xC4, 0xE3, 0xFB}};
  const std::vector<std::vector<u8>> prefixes = {{},     {0x66}, {0xF2},       {0xF3},
                                                 {0x48}, {0x65}, {0x65, 0x48}, {0x67}};
  u64 often = 0;
  for (const auto& prefix : prefixes) {
    for (const auto& map : maps) {
      for (unsigned i = 0; i < 256 * 24; ++i) {
        std::vector<u8> bytes = prefix;
        bytes.insert(bytes.end(), map.begin(), map.end());
        constexpr u8 modrm[] = {0xC2, 0x43, 0x04};
        bytes.push_back(static_cast<u8>(i / 24));
        bytes.push_back(static_cast<u8>(modrm[i % 3] | (i % 24) / 3 << 3));
        bytes.resize(15, 0x10);
        const DecodeStatus status = decoder.load(bytes);
        if (decoder.info().system_id != 0 || !seen.insert(decoder.op().fn).second) {
          continue;
        }
        for (const bool fast : {false, true}) {
          exec_.memory().use_tlb(exec_.core(), fast);
          run({&decoder.op(), 1}, status == DecodeStatus::ends_block);
          const auto& dr = exec_.core().state.dr;
          EXPECT_EQ(dr[0], dr[1]) << text_of(bytes);
          often += fast && dr[2] >= rounds ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(often, seen.size() * 9 / 10);
  std::printf("[ handlers ] %zu, of them %llu often\n", seen.size(),
              static_cast<unsigned long long>(often));
}

TEST_F(StackDepth, NorAFusedBranch) {
  if (!threaded) {
    GTEST_SKIP() << "handlers are not threaded in this build";
  }
  Exec decoder(code_mode::size64);
  unsigned fused = 0;
  unsigned often = 0;
  for (const bool wide : {false, true}) {
    for (unsigned i = 0; i < 256 * 16 * 24; ++i) {
      std::vector<u8> bytes;
      if (wide) {
        bytes.push_back(0x48);
      }
      constexpr u8 modrm[] = {0xC2, 0x43, 0x04};
      bytes.push_back(static_cast<u8>(i / 24 % 256));
      bytes.push_back(static_cast<u8>(modrm[i % 3] | (i % 24) / 3 << 3));
      bytes.resize(15, 0x10);
      if (decoder.load(bytes) != DecodeStatus::ok) {
        continue;
      }
      Op first = decoder.op();
      decoder.load(std::vector<u8>{static_cast<u8>(0x70 + i / 24 / 256), 0x10});
      if (!Decoder::fuse(first, decoder.op(), place::instruction + 2)) {
        continue;
      }
      ++fused;
      run({&first, 1}, true);
      const auto& dr = exec_.core().state.dr;
      EXPECT_EQ(dr[0], dr[1]);
      often += dr[2] >= rounds ? 1 : 0;
    }
  }
  EXPECT_GT(fused, 9000u);
  EXPECT_GT(often, fused / 2);
}

}  // namespace
}  // namespace softsnp::cpu::test

// Decodes straight runs of instructions into blocks.
#pragma once

#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {

class BlockBuilder {
 public:
  static constexpr u32 max_instructions = 48;

  explicit BlockBuilder(Mmu& mmu) : mmu_(mmu) {}

  // The block at core.state.rip in the core's code mode: from the cache, or decoded and put there.
  // Null: the first instruction cannot be fetched; core.fault is set.
  Block* block_at(Core& core);
  // A block of just the first `limit` instructions, for exact stops and single steps. It is not
  // cached and lives until the next call.
  Block* step_at(Core& core, u32 limit);

  // Blocks built from now on count the memory operands of their instructions (--stats). Off, it
  // costs nothing: blocks have no op for it.
  void count_memory_operands(bool wanted) { count_memory_operands_ = wanted; }

 private:
  static constexpr u32 max_ops = max_instructions + 2;  // with the opening and the closing op
  struct Draft {
    Op ops[max_ops];
    OpInfo info[max_ops];
    u64 first_rip = 0;
    u32 count = 0;         // ops
    u32 instructions = 0;  // instructions in them
    u32 bytes = 0;
    bool closed = false;  // the last op leaves the block by itself
    bool crosses = false;
    SystemPhysical start, second_page;
  };
  void open(Draft& draft) const;
  bool draft(Core& core, u32 limit, Draft& out);
  bool draft_crossing(Core& core, const u8* bytes, u32 size, Draft& out);
  bool within_limit(Core& core, u64 rip, u32 length) const;
  void add(Draft& draft, const Op& op, const OpInfo& info, bool may_fuse);
  void close(Core& core, Draft& draft);
  static void copy(const Core& core, const Draft& from, Block& to);

  Mmu& mmu_;
  Decoder decoder_;
  Draft draft_;
  Block step_;
  Op step_ops_[max_ops];
  OpInfo step_info_[max_ops];
  bool count_memory_operands_ = false;
};

}  // namespace softsnp::cpu

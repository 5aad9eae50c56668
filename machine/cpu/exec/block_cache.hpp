// Decoded blocks by (RIP, code mode, sPA they came from). Watches the frames: a write to
// decoded bytes drops the blocks. Where a function takes a core it is the one that runs; others
// have their links made stale by the owner (FrameWatch).
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "machine/cpu/exec/core.hpp"

namespace softsnp::cpu {

class BlockCache {
 public:
  // Told when a frame gains its first decoded block and when it has lost its last.
  class FrameWatch {
   public:
    virtual ~FrameWatch() = default;
    virtual void watch(SystemPhysical page, bool on) = 0;
  };

  explicit BlockCache(FrameWatch& watch) : watch_(watch) {}

  // The live block with this key, or null.
  Block* find(u64 rip, u32 mode, SystemPhysical start);
  // A block with room for op_count ops; the caller fills it and then calls insert().
  Block* allocate(u32 op_count);
  void insert(Block* block);
  // Bytes [offset, offset + size) of the frame are about to change. Drops the blocks decoded from
  // them; the rest of core's current block becomes stale if it is one of them. True if any were.
  bool written(Core& core, SystemPhysical page, u32 offset, u32 size);
  bool has_code(SystemPhysical page) const { return frames_.count(page.page_number()) != 0; }
  // Every block is dropped; memory stays until clear(), so this is safe while a block runs.
  void drop_all(Core& core);
  // Everything goes and memory is freed; only between runs.
  void clear(Core& core);
  // Memory in use is over the limit, or most of it is that of dropped blocks (code of guests that
  // are gone, say): the owner should clear() at a safe point.
  bool full() const {
    return used_ > limit || (dropped_ > least_worth_clearing && dropped_ > used_ / 2);
  }

 private:
  static constexpr usize chunk_bytes = usize{1} << 20;
  static constexpr usize limit = usize{192} << 20;
  static constexpr usize least_worth_clearing = chunk_bytes;

  static constexpr unsigned initial_bucket_bits = 14;

  struct Frame {
    u64 code_lines = 0;  // bit n: bytes [64n, 64n + 64) hold decoded code
    std::vector<Block*> blocks;
  };
  void add_to_frame(SystemPhysical page, Block* block, u32 first, u32 last);
  void drop(Core& core, Block* block);
  static constexpr usize line_bytes = 64;
  static constexpr usize whole_lines(usize bytes) {
    return (bytes + line_bytes - 1) & ~(line_bytes - 1);
  }
  static usize footprint(const Block& block) {
    return whole_lines(sizeof(Block)) + whole_lines(block.op_count * sizeof(Op)) +
           whole_lines(block.op_count * sizeof(OpInfo));
  }
  void* take(usize bytes);
  Block*& bucket(u64 rip, SystemPhysical start);
  void grow();

  FrameWatch& watch_;
  std::vector<Block*> buckets_ = std::vector<Block*>(usize{1} << initial_bucket_bits);
  unsigned bucket_bits_ = initial_bucket_bits;
  usize live_ = 0;
  std::unordered_map<u64, Frame> frames_;
  std::vector<std::unique_ptr<u8[]>> chunks_;
  usize chunk_used_ = chunk_bytes;
  usize used_ = 0;
  usize dropped_ = 0;  // of used_
};

}  // namespace softsnp::cpu

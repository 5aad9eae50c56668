#include "machine/cpu/exec/block_cache.hpp"

#include <algorithm>
#include <new>

#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {
namespace {

// Bits of the 64-byte lines that bytes [first, last] touch.
u64 lines(u32 first, u32 last) {
  return mask_bits(last / 64, first / 64);
}

}  // namespace

Block* BlockCache::find(u64 rip, u32 mode, SystemPhysical start) const {
  const auto at = by_rip_.find(rip);
  if (at == by_rip_.end()) {
    return nullptr;
  }
  for (Block* block : at->second) {
    if (block->mode == mode && block->start == start) {
      return block;
    }
  }
  return nullptr;
}

void* BlockCache::take(usize bytes) {
  bytes = (bytes + 63) & ~usize{63};
  if (chunk_used_ + bytes > chunk_bytes) {
    chunks_.push_back(std::make_unique<u8[]>(chunk_bytes + 64));
    chunk_used_ = 64 - (reinterpret_cast<usize>(chunks_.back().get()) & 63);
    used_ += chunk_bytes;
  }
  void* result = chunks_.back().get() + chunk_used_;
  chunk_used_ += bytes;
  return result;
}

Block* BlockCache::allocate(u32 op_count) {
  auto* block = new (take(sizeof(Block))) Block();
  block->ops = static_cast<Op*>(take(op_count * sizeof(Op)));
  block->info = static_cast<OpInfo*>(take(op_count * sizeof(OpInfo)));
  block->op_count = op_count;
  return block;
}

void BlockCache::add_to_frame(SystemPhysical page, Block* block, u32 first, u32 last) {
  Frame& frame = frames_[page.page_number()];
  if (frame.blocks.empty()) {
    watch_.watch(page, true);
  }
  frame.code_lines |= lines(first, last);
  frame.blocks.push_back(block);
}

void BlockCache::insert(Block* block) {
  by_rip_[block->rip].push_back(block);
  const u32 offset = static_cast<u32>(block->start.page_offset());
  const u32 end = offset + std::max<u32>(block->byte_count, 1);
  add_to_frame(block->start.page(), block, offset, std::min<u32>(end, page_size) - 1);
  if (end > page_size) {
    add_to_frame(block->second_page, block, 0, static_cast<u32>(end - page_size) - 1);
  }
}

void BlockCache::drop(Core& core, Block* block) {
  if (block->dead) {
    return;
  }
  block->dead = true;
  auto& same_rip = by_rip_[block->rip];
  same_rip.erase(std::remove(same_rip.begin(), same_rip.end(), block), same_rip.end());
  if (same_rip.empty()) {
    by_rip_.erase(block->rip);
  }
  if (block == core.block) {
    for (u32 i = 0; i < block->op_count; ++i) {
      block->ops[i].fn = &op_stale;
    }
  }
}

bool BlockCache::written(Core& core, SystemPhysical page, u32 offset, u32 size) {
  const auto at = frames_.find(page.page_number());
  if (at == frames_.end() || size == 0 ||
      (at->second.code_lines & lines(offset, offset + size - 1)) == 0) {
    return false;
  }
  for (Block* block : at->second.blocks) {
    drop(core, block);
  }
  frames_.erase(at);
  watch_.watch(page, false);
  core.bump_generation();
  ++core.counters.code_invalidations;
  return true;
}

void BlockCache::drop_all(Core& core) {
  for (const auto& [number, frame] : frames_) {
    for (Block* block : frame.blocks) {
      drop(core, block);
    }
    watch_.watch(SystemPhysical(number << page_shift), false);
  }
  frames_.clear();
  core.bump_generation();
}

void BlockCache::clear(Core& core) {
  drop_all(core);
  by_rip_.clear();
  chunks_.clear();
  chunk_used_ = chunk_bytes;
  used_ = 0;
  core.block = nullptr;
}

}  // namespace softsnp::cpu

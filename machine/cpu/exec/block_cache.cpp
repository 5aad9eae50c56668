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

Block*& BlockCache::bucket(u64 rip, SystemPhysical start) {
  const u64 mixed = (rip ^ start.value() >> 7) * 0x9E3779B97F4A7C15;
  return buckets_[mixed >> (64 - bucket_bits_)];
}

Block* BlockCache::find(u64 rip, u32 mode, SystemPhysical start) {
  for (Block* block = bucket(rip, start); block != nullptr; block = block->next_in_bucket) {
    if (block->rip == rip && block->start == start && block->mode == mode) {
      return block;
    }
  }
  return nullptr;
}

void BlockCache::grow() {
  const std::vector<Block*> old = std::move(buckets_);
  ++bucket_bits_;
  buckets_.assign(usize{1} << bucket_bits_, nullptr);
  for (Block* block : old) {
    while (block != nullptr) {
      Block* const next = block->next_in_bucket;
      Block*& head = bucket(block->rip, block->start);
      block->next_in_bucket = head;
      head = block;
      block = next;
    }
  }
}

void* BlockCache::take(usize bytes) {
  bytes = whole_lines(bytes);
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
  if (++live_ > buckets_.size()) {
    grow();
  }
  Block*& head = bucket(block->rip, block->start);
  block->next_in_bucket = head;
  head = block;
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
  Block** at = &bucket(block->rip, block->start);
  while (*at != block) {
    at = &(*at)->next_in_bucket;
  }
  *at = block->next_in_bucket;
  --live_;
  dropped_ += footprint(*block);
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
  chunks_.clear();
  chunk_used_ = chunk_bytes;
  used_ = dropped_ = 0;
  core.block = nullptr;
}

}  // namespace softsnp::cpu

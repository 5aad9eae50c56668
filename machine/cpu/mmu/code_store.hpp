// The decoded code of a machine, shared by its cores: what one has decoded the others need not, and
// a write to it by whomever drops it for all of them. Cores learn from the invalidation log.
#pragma once

#include <set>

#include "machine/cpu/exec/block_cache.hpp"
#include "machine/memory/dram/dram.hpp"

namespace softsnp::cpu {

class CodeStore final : public BlockCache::FrameWatch {
 public:
  explicit CodeStore(memory::Dram& dram) : dram_(dram), blocks_(*this) {}
  CodeStore(const CodeStore&) = delete;
  CodeStore& operator=(const CodeStore&) = delete;

  BlockCache& blocks() { return blocks_; }
  // BlockCache::FrameWatch: direct writes to a frame that now holds decoded code end; the log
  // tells the cores.
  void watch(SystemPhysical page, bool on) override;
  // No core writes to the frame directly any more, whether it holds code or not.
  void watch_stores(SystemPhysical page);
  // Drops the blocks whose bytes are no longer what they were. core: the one that runs.
  void catch_up(Core& core);

 private:
  memory::Dram& dram_;
  BlockCache blocks_;
  std::set<SystemPhysical> with_watched_stores_;
  u64 log_seen_ = 0;
};

}  // namespace softsnp::cpu

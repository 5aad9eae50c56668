#include "vmm/ram_blocks.hpp"

#include <algorithm>
#include <cerrno>

namespace softsnp::vmm {

RamBlocks::~RamBlocks() {
  while (!blocks_.empty()) {
    (void)remove(blocks_.back().first).ok();
  }
}

Result<kvm::RamBlock, kvm::Error> RamBlocks::add(u64 bytes) {
  const auto first = memory_.map(bytes);
  if (!first) {
    return Failure{first.error()};
  }
  const kvm::RamBlock block{*first, bytes};
  for (usize i = 0; i < notifiers_.size(); ++i) {
    if (const auto done = notifiers_[i]->added(block); !done) {
      for (usize told = 0; told < i; ++told) {
        notifiers_[told]->removed(block);
      }
      (void)memory_.unmap(block.first).ok();
      return Failure{done.error()};
    }
  }
  blocks_.push_back(block);
  return block;
}

Result<void, kvm::Error> RamBlocks::remove(HostVirtual first) {
  const auto found = std::find_if(blocks_.begin(), blocks_.end(),
                                  [&](const kvm::RamBlock& block) { return block.first == first; });
  if (found == blocks_.end()) {
    return Failure{kvm::Error{EINVAL, 0, "no RAM block starts there"}};
  }
  for (RamBlockNotifier* notifier : notifiers_) {
    notifier->removed(*found);
  }
  blocks_.erase(found);
  return memory_.unmap(first);
}

Result<void, kvm::Error> RamBlocks::add_notifier(RamBlockNotifier& notifier) {
  for (usize i = 0; i < blocks_.size(); ++i) {
    if (auto done = notifier.added(blocks_[i]); !done) {
      for (usize told = 0; told < i; ++told) {
        notifier.removed(blocks_[told]);
      }
      return done;
    }
  }
  notifiers_.push_back(&notifier);
  return {};
}

void RamBlocks::remove_notifier(RamBlockNotifier& notifier) {
  const auto found = std::find(notifiers_.begin(), notifiers_.end(), &notifier);
  if (found == notifiers_.end()) {
    return;
  }
  for (const kvm::RamBlock& block : blocks_) {
    notifier.removed(block);
  }
  notifiers_.erase(found);
}

}  // namespace softsnp::vmm

// The VMM's blocks of guest RAM, and whoever must know of each (QEMU: RAMBlock,
// RAMBlockNotifier). They outlive the memory slots that show them to a guest.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::vmm {

class RamBlockNotifier {
 public:
  virtual ~RamBlockNotifier() = default;
  // A refusal takes the block back.
  virtual Result<void, kvm::Error> added(const kvm::RamBlock& block) = 0;
  virtual void removed(const kvm::RamBlock& block) = 0;
};

class RamBlocks {
 public:
  explicit RamBlocks(kvm::ProcessMemory& memory) : memory_(memory) {}
  ~RamBlocks();
  RamBlocks(const RamBlocks&) = delete;
  RamBlocks& operator=(const RamBlocks&) = delete;

  Result<kvm::RamBlock, kvm::Error> add(u64 bytes);
  // Slots that show it are gone by now.
  Result<void, kvm::Error> remove(HostVirtual first);

  // Is told of the blocks that are there, and of all that come and go. It outlives this object or
  // is taken back.
  Result<void, kvm::Error> add_notifier(RamBlockNotifier& notifier);
  // It hears of every block as removed.
  void remove_notifier(RamBlockNotifier& notifier);
  const std::vector<kvm::RamBlock>& blocks() const { return blocks_; }

 private:
  kvm::ProcessMemory& memory_;
  std::vector<kvm::RamBlock> blocks_;
  std::vector<RamBlockNotifier*> notifiers_;
};

// Keeps the pages of an SEV or SEV-ES guest in their places: their ciphertext is worth nothing
// elsewhere. An SNP guest's private pages are in a guest_memfd, which needs no such help.
class EncryptedRam final : public RamBlockNotifier {
 public:
  EncryptedRam(kvm::Vm& vm, RamBlocks& blocks) : vm_(vm), blocks_(blocks) {}
  ~EncryptedRam() override { blocks_.remove_notifier(*this); }
  EncryptedRam(const EncryptedRam&) = delete;
  EncryptedRam& operator=(const EncryptedRam&) = delete;

  Result<void, kvm::Error> added(const kvm::RamBlock& block) override {
    return vm_.register_region(block.first, block.bytes);
  }
  void removed(const kvm::RamBlock& block) override {
    (void)vm_.unregister_region(block.first, block.bytes).ok();
  }

 private:
  kvm::Vm& vm_;
  RamBlocks& blocks_;
};

}  // namespace softsnp::vmm

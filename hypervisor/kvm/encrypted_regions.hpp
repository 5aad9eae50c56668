// Pages of an encrypted guest that must not move, because their ciphertext means nothing elsewhere:
// KVM_MEMORY_ENCRYPT_REG_REGION and UNREG_REGION, by host-virtual address, whatever memory slots
// there are. Linux arch/x86/kvm/svm/sev.c, sev_mem_enc_register_region() and sev_pin_memory().
// The other policy binds pins to slots, as a first draft of SEV's host support did; a slot that
// is hidden for a moment loses its pages' places.
#pragma once

#include <optional>
#include <vector>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

class EncryptedRegions {
 public:
  EncryptedRegions(host::HostKernel& host, const VmConfig& config)
      : host_(host), type_(config.type), policy_(config.pin_policy) {}
  // Everything is unpinned.
  ~EncryptedRegions();
  EncryptedRegions(const EncryptedRegions&) = delete;
  EncryptedRegions& operator=(const EncryptedRegions&) = delete;

  // Need not be page aligned. The same region may be registered again and counts again. EINVAL,
  // ENOMEM, ENOTTY.
  Result<void, Error> add(HostVirtual first, u64 bytes);
  Result<void, Error> remove(HostVirtual first, u64 bytes);

  // Do nothing unless the policy is to follow slots.
  Result<void, Error> slot_created(u32 slot, HostVirtual first, u64 bytes);
  void slot_removed(u32 slot);

  u64 pages_locked() const { return pages_locked_; }

 private:
  struct Region {
    HostVirtual first;
    u64 bytes = 0;
    std::optional<u32> slot;
    std::vector<SystemPhysical> pages;
  };
  Result<void, Error> pin(Region region);
  void unpin(std::vector<Region>::iterator region);

  host::HostKernel& host_;
  VmType type_;
  PinPolicy policy_;
  std::vector<Region> regions_;
  u64 pages_locked_ = 0;
};

}  // namespace softsnp::kvm

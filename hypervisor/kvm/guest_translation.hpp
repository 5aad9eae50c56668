// Guest-virtual to guest-physical for a plain VM: the hypervisor's own walk of the guest's page
// tables, for instructions it emulates. APM2 5.2-5.3. Never used for SEV-ES guests.
#pragma once

#include "arch/address.hpp"
#include "arch/svm/vmcb.hpp"
#include "base/result.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

// A #PF for the guest.
struct TranslationFault {
  GuestVirtual address;
  u32 error_code = 0;
};

enum class AccessKind : u8 { read, write, fetch };

class GuestTranslation {
 public:
  GuestTranslation(GuestMemory& memory, const svm::Vmcb& vmcb) : memory_(memory), vmcb_(vmcb) {}
  Result<GuestPhysical, TranslationFault> translate(GuestVirtual address, AccessKind kind) const;

 private:
  u64 read_entry(GuestPhysical at, unsigned bytes) const;
  Result<GuestPhysical, TranslationFault> walk(GuestVirtual address, AccessKind kind) const;
  Result<GuestPhysical, TranslationFault> walk_legacy(GuestVirtual address, AccessKind kind) const;
  TranslationFault fault(GuestVirtual address, AccessKind kind, bool present) const;

  GuestMemory& memory_;
  const svm::Vmcb& vmcb_;
};

}  // namespace softsnp::kvm

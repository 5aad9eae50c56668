// The host's use of RMPUPDATE, PSMASH and RMPREAD. Hardware sheet 3.3, 4.4, 4.5; Linux
// arch/x86/virt/svm/sev.c for what a result means to a host.
#pragma once

#include "arch/snp/rmp.hpp"
#include "hypervisor/host/memory.hpp"
#include "hypervisor/host/psp_mailbox.hpp"

namespace softsnp::host {

class Rmp {
 public:
  enum class Immutable : u8 { no, yes };

  Rmp(HostMemory& memory, PspMailbox& psp) : memory_(memory), psp_(psp) {}

  // Hypervisor -> Guest-Invalid, or Pre-Guest if immutable.
  Result<void, Error> assign(SystemPhysical page, PageSize size, GuestPhysical gpa, Asid asid,
                             Immutable immutable);
  // Guest-*, Reclaim -> Hypervisor.
  Result<void, Error> make_hypervisor(SystemPhysical page, PageSize size);
  // Hypervisor -> Firmware, 4 KiB.
  Result<void, Error> make_firmware(SystemPhysical page);
  // Firmware, Pre-Guest -> (SNP_PAGE_RECLAIM) -> Hypervisor. On failure the page is leaked.
  Result<void, Error> reclaim(SystemPhysical page, PageSize size);
  // Guest-Valid -> Pre-Swap, Guest-Invalid -> Pre-Guest: only the firmware changes the page now.
  Result<void, Error> lock(SystemPhysical page);
  // And back, by SNP_PAGE_RECLAIM.
  Result<void, Error> unlock(SystemPhysical page, PageSize size);
  // 2 MiB entry -> 512 of 4 KiB. Already small is success.
  Result<void, Error> psmash(SystemPhysical large_page);
  // What RMPREAD shows; an entry of zeros where there is none.
  snp::RmpUpdate read(SystemPhysical page);

  // A new page in state Firmware, for outputs of the AMD-SP; gone back by release_firmware().
  Result<SystemPhysical, Error> allocate_firmware();
  void release_firmware(SystemPhysical page);

 private:
  // RMPUPDATE, with the direct map told before and after.
  Result<void, Error> update(SystemPhysical page, const snp::RmpUpdate& value, const char* what);
  Result<void, Error> execute(SystemPhysical page, const snp::RmpUpdate& value, const char* what);

  HostMemory& memory_;
  PspMailbox& psp_;
};

}  // namespace softsnp::host

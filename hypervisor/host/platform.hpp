// Bringing the processor and the AMD-SP up: what firmware and Linux do before the first guest.
// Hardware sheet 1.5, firmware sheet 1.4.
#pragma once

#include "hypervisor/host/psp_mailbox.hpp"

namespace softsnp::host {

class Platform {
 public:
  Platform(HostMemory& memory, PspMailbox& psp) : memory_(memory), psp_(psp) {}

  // EFER.SVME and VM_HSAVE_PA on all cores. Once.
  Result<void, Error> enable_svm();
  // The whole way to a live RMP and an initialised firmware, then enable_svm(). Once.
  Result<void, Error> enable_snp();
  // WBINVD on all cores, then SNP_DF_FLUSH: dirty ASIDs become clean.
  Result<void, Error> flush_asids();

  bool snp_enabled() const { return snp_enabled_; }

 private:
  Result<void, Error> write_msr(unsigned core, u32 msr, u64 value);
  Result<void, Error> set_msr_bits(u32 msr, u64 bits);
  Result<void, Error> write_all(u32 msr, u64 value);
  Result<void, Error> configure_memory_encryption();
  Result<void, Error> place_rmp();
  Result<void, Error> command(psp::Command id, std::span<u8> buffer, const char* what);
  void wbinvd_all();

  HostMemory& memory_;
  PspMailbox& psp_;
  std::vector<SystemPhysical> host_save_areas_;  // by core
  bool snp_enabled_ = false;
  bool svm_enabled_ = false;
};

}  // namespace softsnp::host

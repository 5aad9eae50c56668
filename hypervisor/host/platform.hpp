// Bringing the processor and the AMD-SP up: what firmware and Linux do before the first guest.
// Hardware sheet 1.5, firmware sheet 1.4.
#pragma once

#include "hypervisor/host/rmp.hpp"

namespace softsnp::host {

class Platform {
 public:
  Platform(HostMemory& memory, PspMailbox& psp, Rmp& rmp) : memory_(memory), psp_(psp), rmp_(rmp) {}

  // EFER.SVME and VM_HSAVE_PA on all cores. Once.
  Result<void, Error> enable_svm();
  // The whole way to a live RMP and an initialised firmware, then enable_svm(). Once.
  Result<void, Error> enable_snp();
  // INIT of the legacy firmware with SEV-ES, after enable_snp(): in that order, for the firmware
  // refuses the other. Once.
  Result<void, Error> enable_sev();
  // WBINVD on all cores, then SNP_DF_FLUSH: dirty ASIDs become clean.
  Result<void, Error> flush_asids();
  // On all cores: before pages that a guest has cached under its key go to others.
  void wbinvd_all();

  bool snp_enabled() const { return snp_enabled_; }

 private:
  Result<void, Error> write_msr(unsigned core, u32 msr, u64 value);
  Result<void, Error> set_msr_bits(u32 msr, u64 bits);
  Result<void, Error> write_all(u32 msr, u64 value);
  Result<void, Error> configure_memory_encryption();
  Result<void, Error> place_rmp();
  Result<SystemPhysical, Error> allocate_tmr();
  Result<void, Error> command(psp::Command id, std::span<u8> buffer, const char* what);

  HostMemory& memory_;
  PspMailbox& psp_;
  Rmp& rmp_;
  std::vector<SystemPhysical> host_save_areas_;  // by core
  bool snp_enabled_ = false;
  bool sev_enabled_ = false;
  bool svm_enabled_ = false;
};

}  // namespace softsnp::host

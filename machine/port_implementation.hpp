// The host port of a machine. Hardware sheet 4, 5.2 (host rows).
#pragma once

#include "machine/iommu/iommu.hpp"
#include "machine/package.hpp"
#include "machine/psp/psp.hpp"

namespace softsnp::machine {

class Port final : public HostPort {
 public:
  Port(Package& package, psp::Psp& psp)
      : package_(package), psp_(psp), iommu_(package.dram, package.rmp) {}

  u64 dram_bytes() const override { return package_.dram.size(); }
  unsigned core_count() const override { return package_.core_count(); }
  CpuidResult cpuid(u32 leaf, u32 subleaf) const override;

  Result<void, HostFault> load(SystemPhysical at, std::span<u8> to) override;
  Result<void, HostFault> store(SystemPhysical at, std::span<const u8> from,
                                PageSize mapping_size) override;
  Result<void, HostFault> clear_page(SystemPhysical page, PageSize mapping_size,
                                     PageSize extent) override;

  Result<snp::RmpResult, HostException> rmpupdate(SystemPhysical page,
                                                  const snp::RmpUpdate& value) override;
  Result<snp::RmpResult, HostException> psmash(SystemPhysical page) override;
  Result<snp::RmpResult, HostException> rmpread(SystemPhysical page, snp::RmpUpdate& out) override;

  Result<u64, HostException> rdmsr(unsigned core, u32 msr) override;
  Result<void, HostException> wrmsr(unsigned core, u32 msr, u64 value) override;
  void wbinvd(unsigned core) override { package_.ledger.wbinvd(core); }

  Result<void, HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                    u64 max_instructions) override;
  Result<void, HostException> vmload(unsigned core, SystemPhysical vmcb) override;
  Result<void, HostException> vmsave(unsigned core, SystemPhysical vmcb) override;
  void write_registers(unsigned core, const CoreRegisters& from) override;
  void read_registers(unsigned core, CoreRegisters& to) override;
  u16 psp_command(u32 command, SystemPhysical buffer) override;
  // Of the last VMRUN.
  unsigned last_core() const { return last_core_; }

  bool dma_read(u16 device, SystemPhysical at, std::span<u8> to) override {
    return iommu_.read(iommu::DeviceId{device}, at, to).ok();
  }
  bool dma_write(u16 device, SystemPhysical at, std::span<const u8> from) override {
    return iommu_.write(iommu::DeviceId{device}, at, from).ok();
  }
  std::vector<DmaFault> dma_faults() const override;
  u64 tsc() const override { return package_.clock.now; }
  u64 tsc_frequency_hz() const override { return tsc_hz; }
  void idle_until(u64 tsc) override;

 private:
  Result<void, HostFault> check_store(SystemPhysical at, u64 bytes, PageSize mapping_size);

  Package& package_;
  psp::Psp& psp_;
  iommu::Iommu iommu_;
  unsigned last_core_ = 0;
};

}  // namespace softsnp::machine

// A host port that passes everything on: what observers of the port, and hostile hosts (lab), are
// derived from.
#pragma once

#include "machine/port/host_port.hpp"

namespace softsnp::machine {

class WrappedPort : public HostPort {
 public:
  explicit WrappedPort(HostPort& inner) : inner_(inner) {}

  u64 dram_bytes() const override { return inner_.dram_bytes(); }
  unsigned core_count() const override { return inner_.core_count(); }
  CpuidResult cpuid(u32 leaf, u32 subleaf) const override { return inner_.cpuid(leaf, subleaf); }
  Result<void, HostFault> load(SystemPhysical at, std::span<u8> to) override {
    return inner_.load(at, to);
  }
  Result<void, HostFault> store(SystemPhysical at, std::span<const u8> from,
                                PageSize mapping_size) override {
    return inner_.store(at, from, mapping_size);
  }
  Result<void, HostFault> clear_page(SystemPhysical page, PageSize mapping_size,
                                     PageSize extent) override {
    return inner_.clear_page(page, mapping_size, extent);
  }
  Result<snp::RmpResult, HostException> rmpupdate(SystemPhysical page,
                                                  const snp::RmpUpdate& value) override {
    return inner_.rmpupdate(page, value);
  }
  Result<snp::RmpResult, HostException> psmash(SystemPhysical page) override {
    return inner_.psmash(page);
  }
  Result<snp::RmpResult, HostException> rmpread(SystemPhysical page, snp::RmpUpdate& out) override {
    return inner_.rmpread(page, out);
  }
  Result<u64, HostException> rdmsr(unsigned core, u32 msr) override {
    return inner_.rdmsr(core, msr);
  }
  Result<void, HostException> wrmsr(unsigned core, u32 msr, u64 value) override {
    return inner_.wrmsr(core, msr, value);
  }
  void wbinvd(unsigned core) override { inner_.wbinvd(core); }
  Result<void, HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                    u64 max_instructions) override {
    return inner_.vmrun(core, vmcb, max_instructions);
  }
  Result<void, HostException> vmload(unsigned core, SystemPhysical vmcb) override {
    return inner_.vmload(core, vmcb);
  }
  Result<void, HostException> vmsave(unsigned core, SystemPhysical vmcb) override {
    return inner_.vmsave(core, vmcb);
  }
  void write_registers(unsigned core, const CoreRegisters& from) override {
    inner_.write_registers(core, from);
  }
  void read_registers(unsigned core, CoreRegisters& to) override {
    inner_.read_registers(core, to);
  }
  u16 psp_command(u32 command, SystemPhysical buffer) override {
    return inner_.psp_command(command, buffer);
  }
  bool dma_read(u16 device, SystemPhysical at, std::span<u8> to) override {
    return inner_.dma_read(device, at, to);
  }
  bool dma_write(u16 device, SystemPhysical at, std::span<const u8> from) override {
    return inner_.dma_write(device, at, from);
  }
  std::vector<DmaFault> dma_faults() const override { return inner_.dma_faults(); }
  u64 tsc() const override { return inner_.tsc(); }
  u64 tsc_frequency_hz() const override { return inner_.tsc_frequency_hz(); }
  void idle_until(u64 tsc) override { inner_.idle_until(tsc); }

 protected:
  HostPort& inner_;
};

}  // namespace softsnp::machine

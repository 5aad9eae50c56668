// The processor package: what cores share, as the cores (cpu::Platform) and the secure processor
// (psp::PlatformView) see it.
#pragma once

#include <memory>
#include <vector>

#include "machine/cpu/processor.hpp"
#include "machine/cpu/system/cpuid_table.hpp"
#include "machine/entropy.hpp"
#include "machine/machine.hpp"
#include "machine/memory/flush_ledger.hpp"
#include "machine/psp/platform_view.hpp"

namespace softsnp::machine {

// One tick a retired instruction (docs/architecture.md, "State": one clock).
inline constexpr u64 tsc_hz = 1'000'000'000;

struct Package;

class PackageCore final : public cpu::Platform {
 public:
  PackageCore(Package& package, unsigned id) : package_(package), id_(id) {}
  u64 tsc() override;
  u64 tsc_frequency_hz() const override { return tsc_hz; }
  cpu::CpuidRegisters cpuid(u32 leaf, u32 subleaf) const override;
  u64 random64() override;
  unsigned core_id() const override { return id_; }
  cpu::SharedMsrs& shared_msrs() override;
  void caches_written_back() override;

 private:
  Package& package_;
  unsigned id_;
};

struct Package final : public psp::PlatformView {
  explicit Package(const Config& config);

  unsigned core_count() const override { return static_cast<unsigned>(processors.size()); }
  u64 msr(unsigned core, u32 number) const override;
  psp::CpuidValues cpuid(u32 leaf, u32 subleaf) const override;
  u32 reference_tsc_khz() const override;
  bool all_cores_flushed() const override { return ledger.all_flushed(); }
  void restart_flush_tracking() override;
  bool disable_snp() override;
  // RMP range and enable bit from the MSRs into the RMP itself.
  void apply_shared_msrs();

  memory::Dram dram;
  memory::Rmp rmp;
  cpu::Clock clock;
  cpu::CodeStore code;
  cpu::SharedMsrs shared;
  cpu::CpuidTable cpuid_table;
  Entropy entropy;
  memory::WbinvdLedger ledger;
  std::vector<std::unique_ptr<PackageCore>> platforms;
  std::vector<std::unique_ptr<cpu::Processor>> processors;
};

}  // namespace softsnp::machine

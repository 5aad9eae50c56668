#include "machine/package.hpp"

#include "arch/x86/msr.hpp"

namespace softsnp::machine {

using namespace x86;

u64 PackageCore::tsc() {
  return package_.clock.now;
}
u64 PackageCore::random64() {
  return package_.entropy.next();
}
cpu::SharedMsrs& PackageCore::shared_msrs() {
  return package_.shared;
}
void PackageCore::caches_written_back() {
  package_.ledger.wbinvd(id_);
}
cpu::CpuidRegisters PackageCore::cpuid(u32 leaf, u32 subleaf) const {
  return package_.cpuid_table.query(leaf, subleaf, id_);
}

Package::Package(const Config& config)
    : dram(config.dram_bytes),
      rmp(dram, config.observers.memory),
      code(dram),
      cpuid_table(config.product, config.cores),
      entropy(config.seed) {
  dram.keys().set_tweak_seed(config.seed);
  shared.top_mem2 = config.dram_bytes;
  for (unsigned id = 0; id < config.cores; ++id) {
    platforms.push_back(std::make_unique<PackageCore>(*this, id));
    processors.push_back(std::make_unique<cpu::Processor>(dram, rmp, code, *platforms.back(), clock,
                                                          config.observers.cpu));
  }
}

u64 Package::msr(unsigned core, u32 number) const {
  u64 value = 0;
  if (!processors.at(core)->system().read_msr(number, value)) {
    return 0;
  }
  return value;
}

psp::CpuidValues Package::cpuid(u32 leaf, u32 subleaf) const {
  const cpu::CpuidRegisters r = cpuid_table.query(leaf, subleaf, 0);
  return {r.eax, r.ebx, r.ecx, r.edx};
}

// Firmware sheet 1.6: Genoa's reference clock.
u32 Package::reference_tsc_khz() const {
  return 99800;
}

void Package::restart_flush_tracking() {
  ledger.asid_deactivated(Asid::host, core_count());
}

bool Package::disable_snp() {
  shared.syscfg &= ~(msr::syscfg_bits::secure_nested_paging_en | msr::syscfg_bits::vmpl_en);
  apply_shared_msrs();
  return true;
}

void Package::apply_shared_msrs() {
  rmp.set_range(SystemPhysical(shared.rmp_base), SystemPhysical(shared.rmp_end));
  rmp.set_enabled((shared.syscfg & msr::syscfg_bits::secure_nested_paging_en) != 0);
}

}  // namespace softsnp::machine

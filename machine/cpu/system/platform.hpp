// What a core needs of the package around it: clock, CPUID, entropy, the MSRs that cores share.
#pragma once

#include <array>

#include "arch/address.hpp"
#include "arch/x86/msr.hpp"

namespace softsnp::cpu {

struct CpuidRegisters {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
  friend bool operator==(const CpuidRegisters&, const CpuidRegisters&) = default;
};

// MSRs that have one copy a package here; real firmware keeps each core's copy equal
// (hardware sheet 1.2, 1.5).
struct SharedMsrs {
  u64 syscfg = 0;
  u64 hwcr = (u64{1} << 24) | 1;  // TscFreqSel (TSC counts at P0), SmmLock
  u64 rmp_base = 0, rmp_end = 0;
  u64 top_mem = 0x80000000, top_mem2 = 0;
  u64 nb_cfg = 0, de_cfg = 2;
  std::array<u64, 16> mtrr_variable{};
  std::array<u64, 11> mtrr_fixed{};
  u64 mtrr_def_type = 0xC06;
};

class Platform {
 public:
  virtual ~Platform() = default;
  // Time-stamp counter now, instructions retired in the current run included.
  virtual u64 tsc() = 0;
  virtual u64 tsc_frequency_hz() const = 0;
  // The processor's own CPUID for this core.
  virtual CpuidRegisters cpuid(u32 leaf, u32 subleaf) const = 0;
  // RDRAND and RDSEED; from the run's seed.
  virtual u64 random64() = 0;
  virtual unsigned core_id() const = 0;
  virtual SharedMsrs& shared_msrs() = 0;
  // WBINVD or WBNOINVD retired on this core (for the ledger that DF_FLUSH and DEACTIVATE consult).
  virtual void caches_written_back() = 0;
};

}  // namespace softsnp::cpu

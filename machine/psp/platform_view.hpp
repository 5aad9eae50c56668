// What the firmware can see and do outside of memory: registers of the cores, their CPUID, the
// clock, the cache flushes. The machine implements it; the firmware knows no core.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

struct CpuidValues {
  u32 eax = 0;
  u32 ebx = 0;
  u32 ecx = 0;
  u32 edx = 0;
};

class PlatformView {
 public:
  virtual ~PlatformView() = default;

  virtual unsigned core_count() const = 0;
  virtual unsigned socket_count() const { return 1; }
  virtual bool smt_enabled() const { return false; }
  virtual bool tsme_enabled() const { return false; }
  // Value of an MSR on one core; 0 for one that does not exist. Used for the checks of
  // SNP_INIT_EX (firmware sheet 1.6, hardware sheet 1.5).
  virtual u64 msr(unsigned core, u32 number) const = 0;
  // The processor's own CPUID, without any guest's filter.
  virtual CpuidValues cpuid(u32 leaf, u32 subleaf) const = 0;
  // Clock that a TSC scale of 1.0 stands for (firmware sheet 1.6; Genoa 99800).
  virtual u32 reference_tsc_khz() const = 0;

  // Every core executed WBINVD since the last restart_flush_tracking().
  virtual bool all_cores_flushed() const = 0;
  virtual void restart_flush_tracking() = 0;
  // X86_SNP_SHUTDOWN: clears SNPEn on all cores. False if this machine cannot.
  virtual bool disable_snp() { return false; }
};

}  // namespace softsnp::psp

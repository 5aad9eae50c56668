// CPUID of the processor: a real EPYC with AVX and all later vector features masked off, the same
// way in every leaf. APM3 appendix E; hardware sheet 1.1; Linux-boot sheet 3.3-3.5.
#pragma once

#include "arch/psp/tcb_version.hpp"
#include "machine/cpu/system/platform.hpp"

namespace softsnp::cpu {

class CpuidTable {
 public:
  CpuidTable(psp::Product product, unsigned cores) : product_(product), cores_(cores) {}

  // As core sees it, without what mirrors its control registers (OSXSAVE; System adds it).
  CpuidRegisters query(u32 leaf, u32 subleaf, unsigned core) const;
  // Leaf 1 EAX.
  u32 signature() const;

 private:
  CpuidRegisters basic(u32 leaf, u32 subleaf, unsigned core) const;
  CpuidRegisters extended(u32 leaf, u32 subleaf, unsigned core) const;
  CpuidRegisters topology(u32 subleaf, unsigned core) const;
  CpuidRegisters caches(u32 subleaf) const;
  CpuidRegisters brand(u32 part) const;
  CpuidRegisters encryption() const;
  unsigned core_id_bits() const;

  psp::Product product_;
  unsigned cores_;
};

}  // namespace softsnp::cpu

// The processor that the guest runs on.
#pragma once

#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

class HardwareProcessor final : public Processor {
 public:
  constexpr HardwareProcessor() = default;
  u64 read_msr(u32 number) override;
  void write_msr(u32 number, u64 value) override;
  void vmgexit() override;
  svsm::Registers vmgexit_with(const svsm::Registers& in) override;
  RmpOutcome pvalidate(GuestVirtual page, PageSize size, bool validated) override;
  u32 rmpadjust(GuestVirtual page, PageSize size, Vmpl target, u8 permissions, bool vmsa) override;
  u64 read_cr2() override;
  u64 read_cr3() override;
  u64 read_cr4() override;
  u64 read_xcr0() override;
  void flush_tlb() override;
  bool disable_interrupts() override;
  void enable_interrupts() override;
  void relax() override;
  void halt() override;
};

}  // namespace softsnp::guest

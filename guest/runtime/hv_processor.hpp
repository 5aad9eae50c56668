// The processor of a guest under restricted injection: whoever sets RFLAGS.IF looks into the
// doorbell page, for #HV came while it was clear and will not come again.
#pragma once

#include "guest/runtime/hardware_processor.hpp"
#include "guest/runtime/hv_exception.hpp"

namespace softsnp::guest {

class HvProcessor final : public Processor {
 public:
  // Until events is there nothing can wait.
  void attach(HvEvents& events) { events_ = &events; }
  // What STI itself is, for the events' own use.
  Processor& bare() { return bare_; }

  u64 read_msr(u32 number) override { return bare_.read_msr(number); }
  void write_msr(u32 number, u64 value) override { bare_.write_msr(number, value); }
  void vmgexit() override { bare_.vmgexit(); }
  svsm::Registers vmgexit_with(const svsm::Registers& in) override {
    return bare_.vmgexit_with(in);
  }
  RmpOutcome pvalidate(GuestVirtual page, PageSize size, bool validated) override {
    return bare_.pvalidate(page, size, validated);
  }
  u32 rmpadjust(GuestVirtual page, PageSize size, Vmpl target, u8 permissions, bool vmsa) override {
    return bare_.rmpadjust(page, size, target, permissions, vmsa);
  }
  u64 read_cr3() override { return bare_.read_cr3(); }
  u64 read_cr2() override { return bare_.read_cr2(); }
  u64 read_cr4() override { return bare_.read_cr4(); }
  u64 read_xcr0() override { return bare_.read_xcr0(); }
  void flush_tlb() override { bare_.flush_tlb(); }
  bool disable_interrupts() override { return bare_.disable_interrupts(); }
  void enable_interrupts() override {
    if (events_ != nullptr) {
      events_->enable_interrupts();
    } else {
      bare_.enable_interrupts();
    }
  }
  void relax() override { bare_.relax(); }
  void halt() override { bare_.halt(); }

 private:
  HardwareProcessor bare_;
  HvEvents* events_ = nullptr;
};

}  // namespace softsnp::guest

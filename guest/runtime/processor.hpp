// The few instructions that only a guest can execute, as an interface: the runtime's logic runs the
// same on the processor (hardware_processor.hpp) and in native tests (tests/guest/runtime).
#pragma once

#include "arch/address.hpp"
#include "arch/svsm/call.hpp"

namespace softsnp::guest {

// PVALIDATE. Hardware sheet 4.2, 4.6.
struct RmpOutcome {
  u32 result;      // EAX
  bool unchanged;  // CF
};

class Processor {
 public:
  virtual u64 read_msr(u32 number) = 0;
  virtual void write_msr(u32 number, u64 value) = 0;
  virtual void vmgexit() = 0;
  // VMGEXIT with the registers of an SVSM call, as they are afterwards.
  virtual svsm::Registers vmgexit_with(const svsm::Registers& in) = 0;
  virtual RmpOutcome pvalidate(GuestVirtual page, PageSize size, bool validated) = 0;
  // EAX.
  virtual u32 rmpadjust(GuestVirtual page, PageSize size, Vmpl target, u8 permissions,
                        bool vmsa) = 0;
  // The address of the last #PF, and of a #VC for a page that is not validated.
  virtual u64 read_cr2() = 0;
  virtual u64 read_cr3() = 0;
  virtual u64 read_cr4() = 0;
  virtual u64 read_xcr0() = 0;
  // After page tables have changed.
  virtual void flush_tlb() = 0;
  // RFLAGS.IF before.
  virtual bool disable_interrupts() = 0;
  virtual void enable_interrupts() = 0;
  // Waits a little before the same question is asked again.
  virtual void relax() = 0;
  virtual void halt() = 0;

 protected:
  ~Processor() = default;
};

// Interrupts are off while it lives.
class InterruptsOff {
 public:
  explicit InterruptsOff(Processor& processor)
      : processor_(processor), were_on_(processor.disable_interrupts()) {}
  ~InterruptsOff() {
    if (were_on_) {
      processor_.enable_interrupts();
    }
  }
  InterruptsOff(const InterruptsOff&) = delete;
  InterruptsOff& operator=(const InterruptsOff&) = delete;

 private:
  Processor& processor_;
  bool were_on_;
};

// Where the guest sees its physical memory: virtual = physical + offset. PVALIDATE and RMPADJUST
// take virtual addresses, the hypervisor takes physical ones.
struct DirectMap {
  u64 offset = 0;

  constexpr GuestVirtual at(GuestPhysical page) const {
    return GuestVirtual(page.value() + offset);
  }
  constexpr GuestPhysical of(GuestVirtual address) const {
    return GuestPhysical(address.value() - offset);
  }
  GuestPhysical of(const volatile void* object) const {
    return of(GuestVirtual(reinterpret_cast<u64>(object)));
  }
  template <class T>
  T* pointer(GuestPhysical at_) const {
    return reinterpret_cast<T*>(at(at_).value());
  }
};

// One load: what the other side may change is read once and judged by what was read.
template <class T>
inline T read_once(const void* from) {
  return *static_cast<const volatile T*>(from);
}

}  // namespace softsnp::guest

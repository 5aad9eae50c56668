// All that the SVSM asks of the processor, the secure processor and guest memory. At VMPL0 the
// program answers with instructions, under a test a fake does. Freestanding.
#pragma once

#include "arch/address.hpp"
#include "base/types.hpp"

namespace softsnp::svsm {

// An instruction of the RMP on one page of the guest.
struct RmpAnswer {
  enum class Outcome : u8 {
    done,           // EAX and CF below
    not_validated,  // RMPADJUST: #VC 404h
    faulted,        // any other fault: there is no such page
  };
  Outcome outcome = Outcome::done;
  u32 eax = 0;
  bool carry = false;  // PVALIDATE: nothing changed

  bool succeeded() const { return outcome == Outcome::done && eax == 0; }
};

// RMPADJUST. At VMPL0 it rewrites the VMSA bit each time (hardware sheet 4.7).
struct Adjustment {
  Vmpl target = Vmpl::vmpl1;
  u8 permissions = 0;
  bool vmsa = false;
};

class Platform {
 public:
  // Private memory of the guest by gPA. False: a byte of it cannot be accessed; how many were
  // copied is then unknown.
  virtual bool read(GuestPhysical from, void* to, usize bytes) = 0;
  virtual bool write(GuestPhysical to, const void* from, usize bytes) = 0;
  virtual bool zero(GuestPhysical at, u64 bytes) = 0;

  // page lies in the guest's RAM.
  virtual RmpAnswer pvalidate(GuestPhysical page, PageSize size, bool validate) = 0;
  virtual RmpAnswer rmpadjust(GuestPhysical page, PageSize size, const Adjustment& adjustment) = 0;
  // Of this processor, the VMPL0 that runs.
  virtual void flush_tlb() = 0;

  // EFER.SVME of a VMSA, in one locked instruction; what it was before.
  virtual bool exchange_runnable(GuestPhysical vmsa, bool runnable) = 0;

 protected:
  Platform() = default;
  Platform(const Platform&) = default;
  Platform& operator=(const Platform&) = default;
  ~Platform() = default;
};

// A copy of a T in the guest's memory, read once.
template <class T>
bool read_value(Platform& platform, GuestPhysical from, T& value) {
  return platform.read(from, &value, sizeof value);
}
template <class T>
bool write_value(Platform& platform, GuestPhysical to, const T& value) {
  return platform.write(to, &value, sizeof value);
}

}  // namespace softsnp::svsm

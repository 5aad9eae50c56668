// Where the conformance cases act: as a guest under the SVSM in the machine, or natively over the
// handlers alone. Freestanding.
#pragma once

#include "arch/address.hpp"
#include "arch/svsm/call.hpp"
#include "base/types.hpp"

namespace softsnp::conformance {

// Pages of the guest's that nobody else uses, 4 KiB in the RMP, and two blocks of 2 MiB: one that
// is a large page in the RMP, one in small pages.
enum class Place : u8 { list, table, target, vmsa, second_vmsa, area, nonce, report, manifest };
inline constexpr unsigned place_count = 9;

struct Facts {
  GuestPhysical svsm;  // its first page, and how many bytes
  u64 svsm_bytes = 0;
  GuestPhysical calling_area;
  GuestPhysical large_block, small_block;
  u64 ram_end = 0;  // no RAM from here to 3 GiB
  // APIC id 1 is a vCPU that the guest has not created.
  bool second_vcpu = true;
};

class Stage {
 public:
  virtual const Facts& facts() const = 0;
  virtual GuestPhysical at(Place place) const = 0;
  // The guest's own memory, at any address of it.
  virtual void write(GuestPhysical to, const void* from, usize bytes) = 0;
  virtual void read(GuestPhysical from, void* to, usize bytes) = 0;
  // An access would not end in #VC.
  virtual bool is_validated(GuestPhysical page) = 0;
  // call_pending becomes `pending`, then VMPL0 is asked to run; RAX is what the caller finds there.
  virtual svsm::Registers call(const svsm::Registers& in, u8 pending) = 0;
  virtual u8 pending() const = 0;

  virtual void judge(const char* name, bool good, u64 got, u64 expected) = 0;

 protected:
  ~Stage() = default;
};

}  // namespace softsnp::conformance

// The #HV doorbell page of one vCPU at one VMPL: what the host has for a guest under restricted
// injection lies here, and #HV only says that it does. GHCB sheet 3.8, 4.4. The page is the
// guest's: what it reads back may be anything.
#pragma once

#include <optional>

#include "arch/ghcb/doorbell.hpp"
#include "arch/ghcb/response.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

struct DoorbellState {
  std::optional<GuestPhysical> page;
  bool eoi_awaited = false;
};

class Doorbell {
 public:
  Doorbell(GuestMemory& memory, DoorbellState& state) : memory_(memory), state_(state) {}

  // Event 80000014: SW_EXITINFO2 of the answer.
  Result<u64, ghcb::Malformed> request(u64 action, u64 gpa);
  // The vCPU is reset.
  void clear();

  // The guest has taken the last one. A page that is not there, or no longer shared, takes none.
  bool takes_vector() const;
  bool takes_nmi() const;
  // Only what is taken may be posted. True: #HV has to be injected; false: the guest knows already.
  bool post_vector(u8 vector, bool may_skip_eoi);
  bool post_nmi();
  // Something that the page says elsewhere.
  bool signal();
  // Of VMPL0's page: the interrupts of a lower VMPL under alternate injection (feature bit 9).
  std::optional<ghcb::VmplInterrupts> vmpl_interrupts(unsigned vmpl) const;
  void set_vmpl_interrupts(unsigned vmpl, const ghcb::VmplInterrupts& interrupts);

  // The guest has ended the interrupt without an EOI, by clearing NoEoiRequired.
  bool take_eoi();
  // It must write its EOI after all: something waits behind the interrupt.
  void withdraw_eoi();

 private:
  std::optional<u8> read(unsigned offset) const;
  void write(unsigned offset, u8 value);

  GuestMemory& memory_;
  DoorbellState& state_;
};

}  // namespace softsnp::kvm

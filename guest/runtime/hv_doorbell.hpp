// The guest's side of the #HV doorbell page (GHCB sheet 4.4). The page is shared: the host may have
// written anything into it at any moment, so each field is taken by one atomic access and judged by
// what was taken.
#pragma once

#include "arch/ghcb/doorbell.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {

class HvDoorbell {
 public:
  // page is shared, zeroed and the calling vCPU's own.
  HvDoorbell(GhcbClient& client, ghcb::DoorbellPage& page, GuestPhysical at)
      : client_(client), page_(page), at_(at) {}

  // The host is told of the page; it must take this one.
  Handled<void> start();
  Handled<void> stop();
  // What interrupts need before they come this way: the APIC in x2APIC mode and switched on.
  Handled<void> enable_apic();

  struct Flags {
    bool nmi = false, machine_check = false;
  };
  // Takes what the flags say; from here on the host signals anew.
  Flags take_flags();
  // The NMI alone: to be had at once while all else has to wait.
  bool take_nmi();
  // The vector if its priority is above priority's; it is in service then. 0: none.
  u8 take_vector(u8 priority);
  // Something waits that will not be signalled again.
  bool pending(u8 priority) const;

  // Of the interrupt taken last: by exchange where the host allows it, else a write to the APIC.
  Handled<void> end_of_interrupt();
  // icr: as for the x2APIC's ICR.
  Handled<void> send_ipi(u64 icr);
  // The guest's TSC at which vector is raised once; 0 disarms.
  Handled<void> set_timer(u64 deadline, u8 vector);

  GuestPhysical address() const { return at_; }
  const volatile u8* flags() const { return &page_.flags; }

 private:
  Handled<void> ask(ghcb::Event event, u64 info1, u64 info2);

  GhcbClient& client_;
  ghcb::DoorbellPage& page_;
  GuestPhysical at_;
};

}  // namespace softsnp::guest

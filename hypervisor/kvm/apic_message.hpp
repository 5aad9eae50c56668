// An interrupt message between local APICs or from a device, with its destination. APM2 16.5,
// 16.14; KVM: struct kvm_lapic_irq.
#pragma once

#include "hypervisor/kvm/lapic.hpp"

namespace softsnp::kvm {

struct ApicMessage {
  // The numbers are the ICR's.
  enum class Shorthand : u8 { none, self, all, others };

  DeliveryMode mode = DeliveryMode::fixed;
  u8 vector = 0;
  Lapic::Trigger trigger = Lapic::Trigger::edge;
  bool asserted = true;
  bool is_logical = false;
  bool redirection_hint = false;
  Shorthand shorthand = Shorthand::none;
  u32 destination = 0;
  Lapic::Source source = Lapic::Source::msi;

  bool is_lowest_priority() const {
    return mode == DeliveryMode::lowest_priority || redirection_hint;
  }
  // Level-triggered INIT without the assert bit is an Intel relic that no local APIC acts upon, and
  // so is every other de-asserted level (KVM: __apic_accept_irq).
  bool is_deassert() const { return trigger == Lapic::Trigger::level && !asserted; }
};

ApicMessage message_of_icr(u64 icr, bool is_x2apic);
ApicMessage message_of_msi(u64 address, u32 data);

}  // namespace softsnp::kvm

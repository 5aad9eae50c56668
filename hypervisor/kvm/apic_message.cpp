#include "hypervisor/kvm/apic_message.hpp"

namespace softsnp::kvm {
namespace {

Lapic::Trigger trigger_of(u64 bits) {
  return has_bit(bits, 15) ? Lapic::Trigger::level : Lapic::Trigger::edge;
}

}  // namespace

ApicMessage message_of_icr(u64 icr, bool is_x2apic) {
  ApicMessage message;
  message.mode = static_cast<DeliveryMode>(get_bits(icr, 10, 8));
  message.vector = static_cast<u8>(icr);
  message.is_logical = has_bit(icr, 11);
  message.asserted = has_bit(icr, 14);
  message.trigger = trigger_of(icr);
  message.shorthand = static_cast<ApicMessage::Shorthand>(get_bits(icr, 19, 18));
  message.destination = static_cast<u32>(is_x2apic ? icr >> 32 : icr >> 56);
  message.source = Lapic::Source::ipi;
  return message;
}

// Destination in address [19:12], redirection hint in [3], mode in [2].
ApicMessage message_of_msi(u64 address, u32 data) {
  ApicMessage message;
  message.mode = static_cast<DeliveryMode>(get_bits(data, 10, 8));
  message.vector = static_cast<u8>(data);
  message.trigger = trigger_of(data);
  message.is_logical = has_bit(address, 2);
  message.redirection_hint = has_bit(address, 3);
  message.destination = static_cast<u32>(get_bits(address, 19, 12));
  return message;
}

}  // namespace softsnp::kvm

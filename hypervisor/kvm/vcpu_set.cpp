#include "hypervisor/kvm/vcpu_set.hpp"

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

VcpuSet::VcpuSet() = default;
VcpuSet::~VcpuSet() = default;

void VcpuSet::add(std::unique_ptr<VcpuImpl> vcpu) {
  vcpus_.push_back(std::move(vcpu));
  if (vcpus_.size() > 1) {
    for (const auto& each : vcpus_) {
      each->enable_pause_filter();
    }
  }
}

void VcpuSet::clear() {
  vcpus_.clear();
}

VcpuImpl* VcpuSet::find(u32 apic_id) const {
  for (const auto& vcpu : vcpus_) {
    if (vcpu->apic_id() == apic_id) {
      return vcpu.get();
    }
  }
  return nullptr;
}

bool VcpuSet::others_can_run(usize but) const {
  for (const auto& vcpu : vcpus_) {
    if (vcpu->index() != but && vcpu->poll()) {
      return true;
    }
  }
  return false;
}

bool VcpuSet::is_for(const ApicMessage& message, const VcpuImpl* from, const VcpuImpl& to) const {
  const Lapic& apic = to.apic_for(from);
  if (!apic.is_enabled()) {
    return false;
  }
  switch (message.shorthand) {
    case ApicMessage::Shorthand::none:
      return apic.matches(message.destination, message.is_logical, message.source);
    case ApicMessage::Shorthand::self:
      return &to == from;
    case ApicMessage::Shorthand::all:
      return true;
    case ApicMessage::Shorthand::others:
      return &to != from;
  }
  return false;
}

// Lowest priority is arbitrated as KVM does it by default, by the vector and not by priorities: the
// (vector mod n)-th of those that are addressed and enabled (kvm_vector_to_index). To everybody it
// is fixed (kvm_irq_delivery_to_apic).
bool VcpuSet::send(ApicMessage message, const VcpuImpl* from) {
  if (message.is_deassert()) {
    return false;
  }
  if (message.is_lowest_priority() && !message.is_logical && message.destination == 0xFF) {
    message.mode = DeliveryMode::fixed;
  }
  std::vector<VcpuImpl*> takers;
  for (const auto& vcpu : vcpus_) {
    const bool able = !message.is_lowest_priority() || vcpu->apic_for(from).is_software_enabled();
    if (able && is_for(message, from, *vcpu)) {
      takers.push_back(vcpu.get());
    }
  }
  if (message.is_lowest_priority() && !takers.empty()) {
    takers = {takers[message.vector % takers.size()]};
  }
  bool reached_others = false;
  for (VcpuImpl* taker : takers) {
    const bool taken = taker->accept(message, from);
    reached_others = reached_others || (taken && taker != from);
  }
  return reached_others;
}

}  // namespace softsnp::kvm

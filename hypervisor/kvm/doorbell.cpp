#include "hypervisor/kvm/doorbell.hpp"

#include <utility>

namespace softsnp::kvm {
namespace at = ghcb::doorbell;
using ghcb::DoorbellAction;
using ghcb::Malformed;

// KVM's restricted-injection series: whatever is wrong with a request to set, the old page is gone.
Result<u64, Malformed> Doorbell::request(u64 action, u64 gpa) {
  switch (static_cast<DoorbellAction>(action)) {
    case DoorbellAction::get_preferred:
      return ghcb::no_doorbell_page;
    case DoorbellAction::set: {
      clear();
      u8 byte = 0;
      if ((gpa & page_offset_mask) != 0 || !memory_.read_shared(GuestPhysical(gpa), {&byte, 1})) {
        return Failure{Malformed::invalid_input};
      }
      state_.page = GuestPhysical(gpa);
      return gpa;
    }
    case DoorbellAction::query:
      return state_.page ? state_.page->value() : ghcb::no_doorbell_page;
    case DoorbellAction::clear:
      clear();
      return u64{0};
  }
  clear();
  return Failure{Malformed::invalid_input};
}

void Doorbell::clear() {
  state_.page.reset();
  state_.eoi_awaited = false;
}

std::optional<u8> Doorbell::read(unsigned offset) const {
  u8 byte = 0;
  if (!state_.page || !memory_.read_shared(*state_.page + offset, {&byte, 1})) {
    return std::nullopt;
  }
  return byte;
}

void Doorbell::write(unsigned offset, u8 value) {
  (void)memory_.write_shared(*state_.page + offset, {&value, 1}).ok();
}

bool Doorbell::takes_vector() const {
  return read(at::vector_at) == u8{0};
}

bool Doorbell::takes_nmi() const {
  const auto flags = read(at::flags_at);
  return flags && (*flags & at::nmi) == 0;
}

// Rule (c) of GHCB sheet 4.4.
bool Doorbell::signal() {
  const u8 flags = read(at::flags_at).value_or(at::no_further_signal);
  if ((flags & at::no_further_signal) != 0) {
    return false;
  }
  write(at::flags_at, flags | at::no_further_signal);
  return true;
}

bool Doorbell::post_vector(u8 vector, bool may_skip_eoi) {
  write(at::no_eoi_at, may_skip_eoi ? 1 : 0);
  state_.eoi_awaited = may_skip_eoi;
  write(at::vector_at, vector);
  return signal();
}

bool Doorbell::post_nmi() {
  write(at::flags_at, read(at::flags_at).value_or(0) | at::nmi);
  return signal();
}

void Doorbell::set_vmpl_interrupts(unsigned vmpl, const ghcb::VmplInterrupts& interrupts) {
  (void)memory_
      .write_shared(*state_.page + at::interrupts_at(vmpl),
                    {reinterpret_cast<const u8*>(&interrupts), sizeof interrupts})
      .ok();
  const u8 events = read(at::vmpl_events_at).value_or(0);
  write(at::vmpl_events_at, static_cast<u8>(events | 1u << (vmpl - 1)));
}

std::optional<ghcb::VmplInterrupts> Doorbell::vmpl_interrupts(unsigned vmpl) const {
  ghcb::VmplInterrupts interrupts{};
  if (!state_.page ||
      !memory_.read_shared(*state_.page + at::interrupts_at(vmpl),
                           {reinterpret_cast<u8*>(&interrupts), sizeof interrupts})) {
    return std::nullopt;
  }
  return interrupts;
}

bool Doorbell::take_eoi() {
  if (!state_.eoi_awaited || read(at::no_eoi_at) != u8{0}) {
    return false;
  }
  state_.eoi_awaited = false;
  return true;
}

void Doorbell::withdraw_eoi() {
  if (std::exchange(state_.eoi_awaited, false)) {
    write(at::no_eoi_at, 0);
  }
}

}  // namespace softsnp::kvm

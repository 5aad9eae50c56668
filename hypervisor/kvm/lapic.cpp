#include "hypervisor/kvm/lapic.hpp"

namespace softsnp::kvm {
namespace {

void set_vector(std::array<u32, 8>& bits, u8 vector) {
  bits[vector / 32] |= 1u << (vector % 32);
}
void clear_vector(std::array<u32, 8>& bits, u8 vector) {
  bits[vector / 32] &= ~(1u << (vector % 32));
}
bool has_vector(const std::array<u32, 8>& bits, u8 vector) {
  return ((bits[vector / 32] >> (vector % 32)) & 1) != 0;
}
std::optional<u8> highest(const std::array<u32, 8>& bits) {
  for (unsigned word = 8; word-- > 0;) {
    if (bits[word] != 0) {
      return static_cast<u8>(word * 32 + 31 - static_cast<unsigned>(__builtin_clz(bits[word])));
    }
  }
  return std::nullopt;
}

}  // namespace

// The BSP starts with LINT0 as ExtINT, as KVM and a PC's firmware leave it.
Lapic::Lapic(u32 id, Role role) : role_(role) {
  state_.id = id;
  state_.lvts.fill(lvt::masked);
  if (role == Role::bsp) {
    state_.base |= apic_base::bsp;
    state_.lvts[lvt::lint0] = lvt::extint;
  }
}

void Lapic::reset() {
  const u64 base = state_.base;
  const u32 id = state_.id;
  const u32 ldr = is_x2apic() ? state_.ldr : 0;
  const LapicState old = state_;
  *this = Lapic(id, role_);
  state_.base = base;
  state_.ldr = ldr;
  // What the vCPU has still to take came after.
  state_.init_request = old.init_request;
  state_.startup_request = old.startup_request;
}

bool Lapic::owns_mmio(u64 gpa) const {
  return is_enabled() && !is_x2apic() &&
         align_down(gpa, page_size) == (state_.base & mask_bits(51, 12));
}

// APM2 16.9: disabled -> xAPIC -> x2APIC -> disabled; nothing else.
bool Lapic::set_base(u64 value) {
  if ((value & ~(mask_bits(51, 12) | apic_base::bsp | apic_base::x2apic | apic_base::enabled)) !=
      0) {
    return false;
  }
  const bool on = (value & apic_base::enabled) != 0;
  const bool x2 = (value & apic_base::x2apic) != 0;
  const bool was_on = is_enabled();
  const bool was_x2 = is_x2apic();
  if ((x2 && !on) || (was_x2 && on && !x2) || (!was_on && x2)) {
    return false;
  }
  state_.base = value;
  if (was_on && !on) {
    reset();
  } else if (x2 && !was_x2) {
    state_.ldr = (state_.id >> 4) << 16 | 1u << (state_.id & 15);
  }
  return true;
}

u32 Lapic::priority() const {
  const u32 in_service = highest(state_.isr).value_or(0);
  return (state_.tpr & 0xF0) >= (in_service & 0xF0) ? state_.tpr : in_service & 0xF0;
}

std::optional<u8> Lapic::pending_vector() const {
  if (!is_software_enabled()) {
    return std::nullopt;
  }
  const std::optional<u8> vector = highest(state_.irr);
  return vector && (*vector & 0xF0) > (priority() & 0xF0) ? vector : std::nullopt;
}

void Lapic::acknowledge(u8 vector) {
  clear_vector(state_.irr, vector);
  set_vector(state_.isr, vector);
}

std::optional<u8> Lapic::end_of_interrupt() {
  const std::optional<u8> vector = highest(state_.isr);
  if (!vector) {
    return std::nullopt;
  }
  clear_vector(state_.isr, *vector);
  return has_vector(state_.tmr, *vector) ? vector : std::nullopt;
}

bool Lapic::has_requests() const {
  return highest(state_.irr).has_value();
}

bool Lapic::serves_only_edge(u8 vector) const {
  std::array<u32, 8> alone{};
  set_vector(alone, vector);
  return state_.isr == alone && !has_vector(state_.tmr, vector) && !has_requests();
}

void Lapic::take_over(const std::array<u32, 8>& irr, const std::array<u32, 8>& isr, u8 tpr) {
  state_.base |= apic_base::enabled | apic_base::x2apic;
  state_.ldr = (state_.id >> 4) << 16 | 1u << (state_.id & 15);
  state_.svr |= 0x100;
  state_.tpr = tpr;
  state_.isr = isr;
  for (unsigned i = 0; i < 8; ++i) {
    state_.irr[i] |= irr[i];
  }
}

bool Lapic::accepts_extint() const {
  return !is_enabled() || (state_.lvts[lvt::lint0] & (lvt::masked | 0x700)) == lvt::extint;
}

bool Lapic::deliver(DeliveryMode mode, u8 vector, Trigger trigger) {
  switch (mode) {
    case DeliveryMode::fixed:
    case DeliveryMode::lowest_priority:
      if (!is_software_enabled() || vector < 16) {
        return false;
      }
      if (trigger == Trigger::level) {
        set_vector(state_.tmr, vector);
      } else {
        clear_vector(state_.tmr, vector);
      }
      set_vector(state_.irr, vector);
      return true;
    case DeliveryMode::nmi:
      state_.nmi_request = true;
      return true;
    case DeliveryMode::init:
      state_.init_request = true;
      state_.startup_request.reset();
      return true;
    case DeliveryMode::startup:
      state_.startup_request = vector;
      return true;
    case DeliveryMode::smi:
    case DeliveryMode::extint:
      return false;
  }
  return false;
}

// APM2 16.5, 16.14: physical by id, logical flat or cluster; all ones is everybody. KVM takes an
// MSI's FFh for everybody in x2APIC mode too, an IPI's not (kvm_apic_mda()).
bool Lapic::matches(u32 destination, bool is_logical, Source source) const {
  if (!is_enabled()) {
    return false;
  }
  const bool wide = is_x2apic() && source == Source::ipi;
  if (destination == 0xFFFFFFFF || (destination == 0xFF && !wide)) {
    return true;
  }
  if (!is_logical) {
    return destination == state_.id;
  }
  if (is_x2apic()) {
    return (destination >> 16) == (state_.ldr >> 16) && (destination & state_.ldr & 0xFFFF) != 0;
  }
  const u32 logical_id = state_.ldr >> 24;
  if ((state_.dfr >> 28) == 0xF) {
    return (destination & logical_id) != 0;
  }
  return (destination >> 4) == (logical_id >> 4) && (destination & logical_id & 0xF) != 0;
}

void Lapic::fire(unsigned index) {
  const u32 entry = state_.lvts[index];
  if ((entry & lvt::masked) == 0) {
    deliver(static_cast<DeliveryMode>(get_bits(entry, 10, 8)), static_cast<u8>(entry),
            Trigger::edge);
  }
}

}  // namespace softsnp::kvm

// Register reads and writes of the local APIC, by MMIO offset and by x2APIC MSR.
#include "hypervisor/kvm/lapic.hpp"

namespace softsnp::kvm {
namespace reg = apic_register;
namespace {

constexpr u32 version_value = 0x14 | (lvt::count - 1) << 16;
constexpr u32 illegal_register_error = 1u << 7;
constexpr u32 icr_busy = 1u << 12;
constexpr u64 icr_shorthand_self = 1;
// Of an x2APIC (KVM: X2APIC_ICR_RESERVED_BITS).
constexpr u64 icr_reserved = mask_bits(31, 20) | mask_bits(17, 16) | bit(13);

bool in_bank(u32 offset, u32 bank) {
  return offset >= bank && offset < bank + 0x80;
}
std::optional<unsigned> lvt_index(u32 offset) {
  if (offset >= reg::lvt_timer && offset <= reg::lvt_error) {
    return (offset - reg::lvt_timer) / 0x10;
  }
  return std::nullopt;
}

// Registers an x2APIC MSR may name (APM2 16.11): the DFR and the high half of the ICR are gone.
bool x2apic_readable(u32 offset) {
  switch (offset) {
    case reg::id:
    case reg::version:
    case reg::tpr:
    case reg::ppr:
    case reg::ldr:
    case reg::svr:
    case reg::esr:
    case reg::icr_low:
    case reg::timer_initial:
    case reg::timer_current:
    case reg::timer_divide:
      return true;
    default:
      return in_bank(offset, reg::isr) || in_bank(offset, reg::tmr) || in_bank(offset, reg::irr) ||
             lvt_index(offset).has_value();
  }
}
bool x2apic_writable(u32 offset) {
  switch (offset) {
    case reg::tpr:
    case reg::eoi:
    case reg::svr:
    case reg::esr:
    case reg::icr_low:
    case reg::timer_initial:
    case reg::timer_divide:
    case reg::self_ipi:
      return true;
    default:
      return lvt_index(offset).has_value();
  }
}

}  // namespace

bool Lapic::is_x2apic_icr(u64 value) {
  return (value & icr_reserved) == 0;
}

u32 Lapic::read(u32 offset, const ApicTime& time) const {
  if (const auto index = lvt_index(offset)) {
    return state_.lvts[*index];
  }
  for (const auto& [bank, bits] :
       {std::pair{reg::isr, &state_.isr}, {reg::tmr, &state_.tmr}, {reg::irr, &state_.irr}}) {
    if (in_bank(offset, bank)) {
      return (*bits)[(offset - bank) / 0x10];
    }
  }
  switch (offset) {
    case reg::id:
      return is_x2apic() ? state_.id : state_.id << 24;
    case reg::version:
      return version_value;
    case reg::tpr:
      return state_.tpr;
    case reg::ppr:
      return priority();
    case reg::ldr:
      return state_.ldr;
    case reg::dfr:
      return state_.dfr;
    case reg::svr:
      return state_.svr;
    case reg::esr:
      return state_.esr;
    case reg::icr_low:
      return static_cast<u32>(state_.icr);
    case reg::icr_high:
      return static_cast<u32>(state_.icr >> 32);
    case reg::timer_initial:
      return timer_mode() == lvt::TimerMode::tsc_deadline ? 0 : state_.timer_initial;
    case reg::timer_current:
      return current_count(time);
    case reg::timer_divide:
      return state_.timer_divide;
    default:
      return 0;
  }
}

void Lapic::write_lvt(unsigned index, u32 value) {
  if (!is_software_enabled()) {
    value |= lvt::masked;
  }
  if (index == lvt::timer) {
    const auto old_mode = timer_mode();
    state_.lvts[index] = value & 0x710FF;
    // Changing into or out of TSC-deadline mode disarms the timer (APM2 16.4.1).
    if ((old_mode == lvt::TimerMode::tsc_deadline) !=
        (timer_mode() == lvt::TimerMode::tsc_deadline)) {
      state_.timer_expiry = 0;
      state_.tsc_deadline = 0;
    }
    return;
  }
  const bool is_lint = index == lvt::lint0 || index == lvt::lint1;
  state_.lvts[index] = value & (is_lint ? 0x1F7FF : 0x117FF);
}

// The vCPU takes what concerns others; the shorthand "self" does not.
void Lapic::write_icr(u64 value) {
  state_.icr = value & ~u64{icr_busy};
  if (get_bits(value, 19, 18) == icr_shorthand_self) {
    deliver(static_cast<DeliveryMode>(get_bits(value, 10, 8)), static_cast<u8>(value),
            Trigger::edge);
    return;
  }
  state_.icr_request = state_.icr;
}

std::optional<u8> Lapic::write(u32 offset, u32 value, const ApicTime& time) {
  if (const auto index = lvt_index(offset)) {
    write_lvt(*index, value);
    return std::nullopt;
  }
  switch (offset) {
    case reg::id:
      state_.id = value >> 24;
      break;
    case reg::tpr:
      state_.tpr = value & 0xFF;
      break;
    case reg::eoi:
      return end_of_interrupt();
    case reg::ldr:
      state_.ldr = value & 0xFF000000;
      break;
    case reg::dfr:
      state_.dfr = value | 0x0FFFFFFF;
      break;
    case reg::svr:
      state_.svr = value & 0x3FF;
      if (!is_software_enabled()) {
        for (u32& entry : state_.lvts) {
          entry |= lvt::masked;
        }
      }
      break;
    case reg::esr:
      state_.esr = state_.esr_pending;
      state_.esr_pending = 0;
      break;
    case reg::icr_low:
      write_icr((state_.icr & mask_bits(63, 32)) | value);
      break;
    case reg::icr_high:
      state_.icr = u64{value & 0xFF000000} << 32 | (state_.icr & 0xFFFFFFFF);
      break;
    case reg::timer_initial:
      state_.timer_initial = value;
      start_timer(time);
      break;
    case reg::timer_divide:
      state_.timer_divide = value & 0xB;
      break;
    default:
      state_.esr_pending |= illegal_register_error;
      break;
  }
  return std::nullopt;
}

std::optional<u64> Lapic::read_msr(u32 number, const ApicTime& time) const {
  const u32 offset = (number & 0xFF) << 4;
  if (!is_x2apic() || !x2apic_readable(offset)) {
    return std::nullopt;
  }
  if (offset == reg::icr_low) {
    return state_.icr;
  }
  return read(offset, time);
}

Lapic::MsrWrite Lapic::write_msr(u32 number, u64 value, const ApicTime& time) {
  const u32 offset = (number & 0xFF) << 4;
  if (!is_x2apic() || !x2apic_writable(offset)) {
    return {};
  }
  if (offset == reg::icr_low) {
    if (!is_x2apic_icr(value)) {
      return {};
    }
    write_icr(value);
    return {true, std::nullopt};
  }
  if ((value >> 32) != 0 || ((offset == reg::eoi || offset == reg::esr) && value != 0)) {
    return {};
  }
  if (offset == reg::self_ipi) {
    deliver(DeliveryMode::fixed, static_cast<u8>(value), Trigger::edge);
    return {true, std::nullopt};
  }
  return {true, write(offset, static_cast<u32>(value), time)};
}

}  // namespace softsnp::kvm

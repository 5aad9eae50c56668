// The local APIC's timer: one-shot, periodic and TSC-deadline. APM2 16.4.1. KVM's bus clock is
// 1 GHz: one count a nanosecond, divided as programmed.
#include "hypervisor/kvm/lapic.hpp"

namespace softsnp::kvm {
namespace {

using u128 = unsigned __int128;
constexpr u64 nanoseconds_per_second = 1000000000;

// Divide configuration: bits 3, 1, 0; 111b divides by 1.
unsigned divide_shift(u32 configuration) {
  const unsigned code = (configuration & 3) | ((configuration >> 1) & 4);
  return (code + 1) & 7;
}

u64 to_ticks(u64 nanoseconds, u64 frequency_hz) {
  return static_cast<u64>(u128{nanoseconds} * frequency_hz / nanoseconds_per_second);
}
u64 to_nanoseconds(u64 ticks, u64 frequency_hz) {
  return static_cast<u64>(u128{ticks} * nanoseconds_per_second / frequency_hz);
}

}  // namespace

lvt::TimerMode Lapic::timer_mode() const {
  return static_cast<lvt::TimerMode>(get_bits(state_.lvts[lvt::timer], 18, lvt::mode_shift));
}

bool Lapic::timer_can_interrupt() const {
  return state_.timer_expiry != 0 && (state_.lvts[lvt::timer] & lvt::masked) == 0;
}

u64 Lapic::period(const ApicTime& time) const {
  const u64 ticks =
      to_ticks(u64{state_.timer_initial} << divide_shift(state_.timer_divide), time.frequency_hz);
  return ticks == 0 ? 1 : ticks;
}

void Lapic::start_timer(const ApicTime& time) {
  if (timer_mode() == lvt::TimerMode::tsc_deadline) {
    return;
  }
  state_.timer_expiry = state_.timer_initial == 0 ? 0 : time.tsc + period(time);
}

u64 Lapic::tsc_deadline() const {
  return timer_mode() == lvt::TimerMode::tsc_deadline ? state_.tsc_deadline : 0;
}

void Lapic::set_tsc_deadline(u64 guest_tsc, const ApicTime& time) {
  if (timer_mode() != lvt::TimerMode::tsc_deadline) {
    return;
  }
  state_.tsc_deadline = guest_tsc;
  if (guest_tsc == 0) {
    state_.timer_expiry = 0;
    return;
  }
  const u64 guest_now = time.tsc + time.guest_offset;
  const u64 expiry = guest_tsc <= guest_now ? time.tsc : time.tsc + (guest_tsc - guest_now);
  // A deadline beyond the clock's range never comes; 0 must stay "none".
  state_.timer_expiry = expiry < time.tsc ? ~u64{0} : (expiry == 0 ? 1 : expiry);
}

void Lapic::set_deadline_timer(u8 vector, u64 guest_tsc, const ApicTime& time) {
  constexpr u32 mode = static_cast<u32>(lvt::TimerMode::tsc_deadline) << lvt::mode_shift;
  write_lvt(lvt::timer, mode | vector);
  set_tsc_deadline(guest_tsc, time);
}

u32 Lapic::current_count(const ApicTime& time) const {
  if (state_.timer_expiry == 0 || timer_mode() == lvt::TimerMode::tsc_deadline ||
      state_.timer_expiry <= time.tsc) {
    return 0;
  }
  const u64 left = to_nanoseconds(state_.timer_expiry - time.tsc, time.frequency_hz);
  return static_cast<u32>(left >> divide_shift(state_.timer_divide));
}

void Lapic::advance(const ApicTime& time) {
  if (state_.timer_expiry == 0 || time.tsc < state_.timer_expiry) {
    return;
  }
  fire(lvt::timer);
  if (timer_mode() == lvt::TimerMode::periodic) {
    const u64 step = period(time);
    // Periods missed while nobody looked merge into this one.
    const u64 missed = (time.tsc - state_.timer_expiry) / step;
    state_.timer_expiry += (missed + 1) * step;
  } else {
    state_.timer_expiry = 0;
    state_.tsc_deadline = 0;
  }
}

}  // namespace softsnp::kvm

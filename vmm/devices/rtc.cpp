#include "vmm/devices/rtc.hpp"

#include "vmm/devices/calendar.hpp"
#include "vmm/devices/time_scale.hpp"

namespace softsnp::devices {
namespace {

enum Register : u8 {
  seconds = 0,
  seconds_alarm,
  minutes,
  minutes_alarm,
  hours,
  hours_alarm,
  weekday,
  day,
  month,
  year,
  register_a,
  register_b,
  register_c,
  register_d,
  century = 0x32,  // where the FADT and Linux look for it
};
namespace b_bit {
constexpr u8 set = 0x80, periodic = 0x40, alarm = 0x20, update_ended = 0x10, binary = 0x04,
             hours_24 = 0x02, interrupts = periodic | alarm | update_ended;
}
constexpr u8 c_interrupt = 0x80;
constexpr u8 d_valid = 0x80;
constexpr u8 index_mask = 0x7F;
constexpr u64 crystal_hz = 32768;
constexpr i64 seconds_a_day = 86400;
// An alarm recurs daily: looking further back than a day cannot find another match.
constexpr u64 longest_look_back = seconds_a_day;

bool is_time(u8 index) {
  return index == century || (index <= year && index != seconds_alarm && index != minutes_alarm &&
                              index != hours_alarm);
}

i64 floor_day(i64 wall) {
  return wall >= 0 ? wall / seconds_a_day : -((-wall + seconds_a_day - 1) / seconds_a_day);
}

}  // namespace

Rtc::Rtc(InterruptLine& line, const Clock& clock, i64 epoch_seconds) : line_(line), clock_(clock) {
  state_.base_seconds = epoch_seconds;
  state_.memory[register_a] = 0x26;
  state_.memory[register_b] = b_bit::hours_24;
  state_.memory[register_d] = d_valid;
}

u64 Rtc::seconds_now() const {
  return ticks_of(clock_, 1);
}

u8 Rtc::encode(unsigned value) const {
  const bool binary = (state_.memory[register_b] & b_bit::binary) != 0;
  return static_cast<u8>(binary ? value : (value / 10 % 10) << 4 | value % 10);
}

unsigned Rtc::decode(u8 value) const {
  const bool binary = (state_.memory[register_b] & b_bit::binary) != 0;
  return binary ? value : (value >> 4) * 10u + (value & 0xFu);
}

u8 Rtc::encode_hour(unsigned hour) const {
  if (state_.memory[register_b] & b_bit::hours_24) {
    return encode(hour);
  }
  const unsigned twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<u8>(encode(twelve) | (hour >= 12 ? 0x80 : 0));
}

unsigned Rtc::decode_hour(u8 value) const {
  if (state_.memory[register_b] & b_bit::hours_24) {
    return decode(value);
  }
  return decode(value & 0x7F) % 12 + ((value & 0x80) ? 12 : 0);
}

bool Rtc::updates_halted() const {
  return (state_.memory[register_b] & b_bit::set) != 0;
}

void Rtc::refresh_time() {
  if (updates_halted()) {
    return;
  }
  const i64 wall = state_.base_seconds + static_cast<i64>(seconds_now());
  const i64 days = floor_day(wall);
  const auto second_of_day = static_cast<unsigned>(wall - days * seconds_a_day);
  const Date date = date_from_days(days);
  const auto full_year = static_cast<unsigned>(date.year);
  auto& memory = state_.memory;
  memory[seconds] = encode(second_of_day % 60);
  memory[minutes] = encode(second_of_day / 60 % 60);
  memory[hours] = encode_hour(second_of_day / 3600);
  memory[weekday] = encode(day_of_week(days));
  memory[day] = encode(date.day);
  memory[month] = encode(date.month);
  memory[year] = encode(full_year % 100);
  memory[century] = encode(full_year / 100 % 100);
}

// Whatever the guest wrote is some time: fields out of range carry over, a month is brought in.
void Rtc::set_time_from_registers() {
  const auto& memory = state_.memory;
  const i64 full_year = i64{decode(memory[century])} * 100 + decode(memory[year]);
  const unsigned month_index = (decode(memory[month]) + 11) % 12;
  const i64 days = days_from_date({full_year, month_index + 1, decode(memory[day])});
  const i64 second_of_day = i64{decode_hour(memory[hours])} * 3600 +
                            i64{decode(memory[minutes])} * 60 + decode(memory[seconds]);
  state_.base_seconds = days * seconds_a_day + second_of_day - static_cast<i64>(seconds_now());
}

// MC146818A "Alarm": C0h..FFh in an alarm byte is "don't care".
bool Rtc::alarm_matches(i64 wall) const {
  const auto second_of_day = static_cast<unsigned>(wall - floor_day(wall) * seconds_a_day);
  const auto matches = [](u8 alarm, u8 now) { return alarm >= 0xC0 || alarm == now; };
  return matches(state_.memory[seconds_alarm], encode(second_of_day % 60)) &&
         matches(state_.memory[minutes_alarm], encode(second_of_day / 60 % 60)) &&
         matches(state_.memory[hours_alarm], encode_hour(second_of_day / 3600));
}

// Register A, rate selection; rates 1 and 2 are those of 8 and 9 (table 5, 32.768 kHz).
u64 Rtc::periodic_period() const {
  const unsigned rate = state_.memory[register_a] & 0x0F;
  if (rate == 0) {
    return 0;
  }
  return u64{1} << ((rate <= 2 ? rate + 7 : rate) - 1);
}

void Rtc::look_at_seconds() {
  const u64 now = seconds_now();
  if (now <= state_.seconds_seen) {
    return;
  }
  u64 second = state_.seconds_seen + 1;
  if (now - second >= longest_look_back) {
    second = now - longest_look_back + 1;
  }
  state_.seconds_seen = now;
  if (updates_halted()) {
    return;
  }
  state_.memory[register_c] |= b_bit::update_ended;
  for (; second <= now; ++second) {
    if (alarm_matches(state_.base_seconds + static_cast<i64>(second))) {
      state_.memory[register_c] |= b_bit::alarm;
      return;
    }
  }
}

void Rtc::advance() {
  look_at_seconds();
  const u64 tick = ticks_of(clock_, crystal_hz);
  const u64 period = periodic_period();
  if (period != 0 && tick / period != state_.periodic_seen / period) {
    state_.memory[register_c] |= b_bit::periodic;
  }
  state_.periodic_seen = tick;
  update_line();
}

void Rtc::update_line() {
  u8& flags = state_.memory[register_c];
  const bool wanted = (flags & state_.memory[register_b] & b_bit::interrupts) != 0;
  flags = static_cast<u8>(wanted ? flags | c_interrupt : flags & ~c_interrupt);
  line_.set(wanted ? Level::high : Level::low);
}

u64 Rtc::next_event() const {
  const u8 enabled = state_.memory[register_b];
  u64 event = 0;
  if (enabled & (b_bit::alarm | b_bit::update_ended)) {
    event = instant_of(clock_, seconds_now() + 1, 1);
  }
  const u64 period = periodic_period();
  if ((enabled & b_bit::periodic) && period != 0) {
    const u64 next = (ticks_of(clock_, crystal_hz) / period + 1) * period;
    event = earlier(event, instant_of(clock_, next, crystal_hz));
  }
  return event;
}

void Rtc::write_register(u8 index, u8 value) {
  refresh_time();
  switch (index) {
    case register_a:
      state_.memory[index] = value & 0x7F;
      return;
    case register_b: {
      const bool was_halted = updates_halted();
      state_.memory[index] = value;
      if (was_halted && !updates_halted()) {
        set_time_from_registers();
      }
      return;
    }
    case register_c:
    case register_d:
      return;
  }
  state_.memory[index] = value;
  if (is_time(index) && !updates_halted()) {
    set_time_from_registers();
  }
}

u8 Rtc::read_byte(u16 port) {
  if ((port & 1) == 0) {
    return 0xFF;  // 70h is write-only
  }
  advance();
  refresh_time();
  const u8 value = state_.memory[state_.index];
  if (state_.index == register_c) {
    state_.memory[register_c] = 0;
    update_line();
  }
  return value;
}

void Rtc::write_byte(u16 port, u8 value) {
  if ((port & 1) == 0) {
    state_.index = value & index_mask;
    return;
  }
  advance();
  write_register(state_.index, value);
  update_line();
}

}  // namespace softsnp::devices

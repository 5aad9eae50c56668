// MC146818A real-time clock with 114 bytes of RAM behind ports 70h and 71h. Motorola MC146818A
// data sheet (ADI1026), "Address map" and "Registers". Wall time is virtual time from a fixed
// epoch; an update takes no time, so that UIP (register A bit 7) always reads 0, which Linux needs
// (linux-boot sheet 4.3).
#pragma once

#include <array>

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

class Rtc final : public BytePortDevice {
 public:
  static constexpr usize memory_size = 128;

  struct State {
    u8 index = 0;
    std::array<u8, memory_size> memory{};
    i64 base_seconds = 0;   // since 1970, at virtual time 0
    u64 seconds_seen = 0;   // virtual seconds already looked at by advance()
    u64 periodic_seen = 0;  // 32768 Hz ticks at the last periodic interrupt
    friend bool operator==(const State&, const State&) = default;
  };

  // epoch_seconds: wall time at virtual time 0, seconds since 1970.
  Rtc(InterruptLine& line, const Clock& clock, i64 epoch_seconds);

  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

  u64 next_event() const;
  void advance();

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  u64 seconds_now() const;
  u8 encode(unsigned value) const;
  unsigned decode(u8 value) const;
  u8 encode_hour(unsigned hour) const;
  unsigned decode_hour(u8 value) const;
  bool updates_halted() const;
  u64 periodic_period() const;
  bool alarm_matches(i64 wall_seconds) const;
  void refresh_time();
  void set_time_from_registers();
  void write_register(u8 index, u8 value);
  void look_at_seconds();
  void update_line();

  InterruptLine& line_;
  const Clock& clock_;
  State state_;
};

}  // namespace softsnp::devices

// The 8254 interval timer and system control port B (61h). Intel 8254 data sheet (231164-005),
// "Mode definitions". Counts are derived from virtual time; nothing ticks.
#pragma once

#include <array>

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"
#include "vmm/devices/time_scale.hpp"

namespace softsnp::devices {

class Pit final : public BytePortDevice {
 public:
  static constexpr u64 input_hz = 1193182;

  enum class Access : u8 { latch, low, high, both };

  struct Channel {
    u8 mode = 0;
    bool bcd = false;
    Access access = Access::both;
    bool loaded = false;   // a count has been written since the mode
    bool started = false;  // modes 1 and 5 wait for the gate
    bool gate = true;
    u32 reload = 0x10000;
    u64 start = 0;   // tick at which the count began
    u64 paused = 0;  // ticks counted when the gate stopped modes 0 and 4
    bool write_high_next = false;
    bool read_high_next = false;
    u8 low_byte = 0;
    bool count_latched = false;
    u16 latched_count = 0;
    bool status_latched = false;
    u8 latched_status = 0;
    friend bool operator==(const Channel&, const Channel&) = default;
  };
  struct State {
    std::array<Channel, 3> channels{};
    u64 edges_seen = 0;  // rising edges of channel 0's output since its count began
    u8 port_b = 0;       // bits 0 (gate 2) and 1 (speaker)
    friend bool operator==(const State&, const State&) = default;
  };

  // line: output of channel 0 (IRQ 0).
  Pit(InterruptLine& line, const Clock& clock);

  // Ports 40h-43h and 61h.
  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

  u64 next_event() const;
  void advance();

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  u64 now() const { return ticks_of(clock_, input_hz); }
  u8 read_counter(Channel& channel);
  void write_counter(unsigned number, u8 value);
  void load(unsigned number, u32 count);
  void write_control(u8 value);
  void read_back(u8 value);
  void set_gate(Channel& channel, bool gate);
  u8 read_port_b() const;

  InterruptLine& line_;
  const Clock& clock_;
  State state_;
};

}  // namespace softsnp::devices

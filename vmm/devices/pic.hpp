// The pair of 8259A interrupt controllers of a PC, slave on input 2 of the master.
// Intel 8259A data sheet (231468-003), "Initialization/Operation command words"; the edge/level
// registers 4D0/4D1 are the chipset's (Intel 82371SB, section 4.2 "ELCR").
#pragma once

#include <array>

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

class Pic final : public BytePortDevice {
 public:
  enum class Expect : u8 { nothing, icw2, icw3, icw4 };

  struct Chip {
    u8 request = 0;     // IRR
    u8 mask = 0;        // IMR
    u8 in_service = 0;  // ISR
    u8 lines = 0;
    u8 level_triggered = 0;  // ELCR
    u8 vector_base = 0;
    u8 lowest_priority = 7;
    Expect expect = Expect::nothing;
    bool wants_icw4 = false;
    bool single = false;
    bool initialized = false;
    bool auto_eoi = false;
    bool rotate_on_auto_eoi = false;
    bool special_mask = false;
    bool special_fully_nested = false;
    bool read_in_service = false;
    bool poll = false;
    friend bool operator==(const Chip&, const Chip&) = default;
  };
  struct State {
    std::array<Chip, 2> chips{};
    friend bool operator==(const State&, const State&) = default;
  };

  // intr: the INTR output of the master, towards LINT0.
  explicit Pic(InterruptLine& intr) : intr_(intr) {}

  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

  // Input lines 0..15; 2 is the cascade and ignored.
  void set_line(u8 irq, Level level);
  bool interrupt_pending() const;
  // The processor's acknowledge cycle: the vector; spurious if the request has gone.
  u8 acknowledge();

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  Chip& master() { return state_.chips[0]; }
  Chip& slave() { return state_.chips[1]; }
  u8 read_chip(unsigned chip, bool data_port);
  void write_chip(unsigned chip, bool data_port, u8 value);
  void write_command(unsigned chip, u8 value);
  u8 poll(unsigned chip);
  void update();

  InterruptLine& intr_;
  State state_;
};

}  // namespace softsnp::devices

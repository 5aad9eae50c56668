// I/O APIC with 24 inputs. Intel 82093AA data sheet (290566-001), section 3; version 20h and the
// EOI register from Intel ICH9 (316972-004), section 13.5. Interrupts leave as messages: the form
// of APM2 16.10 / Intel SDM 3A 11.11.
#pragma once

#include <array>
#include <vector>

#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

class Ioapic {
 public:
  static constexpr unsigned pin_count = 24;
  static constexpr u64 window_size = 0x1000;

  struct State {
    u8 id = 0;
    u8 select = 0;
    u32 lines = 0;
    u32 request = 0;  // IRR: asserted inputs not yet delivered
    std::array<u64, pin_count> redirection{};
    friend bool operator==(const State&, const State&) = default;
  };

  explicit Ioapic(MessagePort& messages);

  // Offsets within the 4 KiB window. Registers are 32 bits wide at multiples of 16.
  u32 read(u64 offset) const;
  void write(u64 offset, u32 value);

  void set_line(u8 pin, Level level);
  // A local APIC acknowledged a level-triggered vector.
  void end_of_interrupt(u8 vector);
  // Vectors of which set_line's owner must report the EOI: those of level-triggered entries.
  std::vector<u8> level_vectors() const;

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  u32 read_register() const;
  void write_register(u32 value);
  void write_redirection(unsigned pin, bool high, u32 value);
  void service(unsigned pin);
  void deliver(u64 entry);

  MessagePort& messages_;
  State state_;
};

}  // namespace softsnp::devices

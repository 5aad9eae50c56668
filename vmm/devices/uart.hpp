// 16550A UART. National Semiconductor PC16550D data sheet (June 1995), section 8 "Registers";
// linux-boot sheet 4.6 for what Linux probes. The transmitter takes no time: THRE and TEMT are
// always set.
#pragma once

#include <array>

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

class Uart final : public BytePortDevice {
 public:
  static constexpr u16 port_count = 8;
  static constexpr u8 fifo_size = 16;

  struct State {
    u8 interrupt_enable = 0;
    u8 fifo_control = 0;
    u8 line_control = 0;
    u8 modem_control = 0;
    u8 modem_status = 0xB0;  // DCD, DSR, CTS: somebody listens
    u8 scratch = 0;
    u16 divisor = 12;
    std::array<u8, fifo_size> received{};
    u8 head = 0;
    u8 count = 0;
    bool overrun = false;
    bool transmitter_interrupt = false;
    bool receive_timeout = false;
    u64 last_receive_activity = 0;  // clock
    friend bool operator==(const State&, const State&) = default;
  };

  // base: first of eight ports.
  Uart(u16 base, InterruptLine& line, OutputSink& output, const Clock& clock)
      : base_(base), line_(line), output_(output), clock_(clock) {}

  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

  // Characters the receiver can take now without an overrun.
  u8 room() const;
  void receive(u8 byte);

  // Time of the next change by itself, 0 = none; advance() performs what is due.
  u64 next_event() const;
  void advance();

  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  u8 capacity() const;
  u8 trigger_level() const;
  bool fifo_enabled() const;
  u64 timeout_instant() const;
  u8 interrupt_identification() const;
  u8 take_received();
  u8 take_interrupt_identification();
  u8 take_line_status();
  void clear_receiver();
  void transmit(u8 value);
  void write_interrupt_enable(u8 value);
  void write_fifo_control(u8 value);
  void write_modem_control(u8 value);
  void update_line();

  u16 base_;
  InterruptLine& line_;
  OutputSink& output_;
  const Clock& clock_;
  State state_;
};

}  // namespace softsnp::devices

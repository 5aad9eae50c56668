// The legacy ways to reset a PC, and the devices that are absent around them: port 92h (fast reset
// and A20), CF9h (Intel 82371SB 2.3.3 "Reset control"), the keyboard controller's pulse command,
// PCI configuration mechanism 1. linux-boot sheet 4.6, 4.7.
#pragma once

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

// Port 92h.
class SystemControlA final : public BytePortDevice {
 public:
  struct State {
    u8 value = 2;  // A20 open
    friend bool operator==(const State&, const State&) = default;
  };
  explicit SystemControlA(ControlPort& control) : control_(control) {}
  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  ControlPort& control_;
  State state_;
};

// Ports CF8h..CFFh without a PCI host: all ones, but a byte written to CF9h may reset.
class PciConfigPorts final : public PortDevice {
 public:
  struct State {
    u8 reset_control = 0;
    friend bool operator==(const State&, const State&) = default;
  };
  explicit PciConfigPorts(ControlPort& control) : control_(control) {}
  u32 read(u16 port, u8 size) override;
  void write(u16 port, u8 size, u32 value) override;
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  ControlPort& control_;
  State state_;
};

// Ports 60h and 64h without a keyboard controller: reads are FFh, which makes Linux give up on
// it at once; the command to pulse the reset line is honoured because every PC does.
class KeyboardPorts final : public BytePortDevice {
 public:
  explicit KeyboardPorts(ControlPort& control) : control_(control) {}
  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

 private:
  ControlPort& control_;
};

// QEMU's isa-debug-exit: a write ends the run with status (value << 1) | 1.
class DebugExit final : public PortDevice {
 public:
  static constexpr u16 port_count = 4;
  explicit DebugExit(ControlPort& control) : control_(control) {}
  u32 read(u16 port, u8 size) override;
  void write(u16 port, u8 size, u32 value) override;

 private:
  ControlPort& control_;
};

}  // namespace softsnp::devices

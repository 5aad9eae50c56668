// What a device may know of the world: its interrupt line, a clock, where its output goes and who
// resets the machine. Handed in at construction; docs/architecture.md, vmm/devices.
#pragma once

#include "base/types.hpp"

namespace softsnp::devices {

enum class Level : u8 { low, high };

class InterruptLine {
 public:
  virtual ~InterruptLine() = default;
  virtual void set(Level level) = 0;
};

// A message-signalled interrupt on its way to the local APICs (APM2 16.10).
class MessagePort {
 public:
  virtual ~MessagePort() = default;
  virtual void send(u64 address, u32 data) = 0;
};

// Virtual time: ticks since power-on and their rate.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual u64 now() const = 0;
  virtual u64 frequency_hz() const = 0;
};

class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void put(u8 byte) = 0;
};

// What ends a run from the guest's side.
class ControlPort {
 public:
  virtual ~ControlPort() = default;
  virtual void power_off() = 0;
  virtual void reset() = 0;
  virtual void debug_exit(u32 value) = 0;
};

}  // namespace softsnp::devices

// The outside of a device, recorded.
#pragma once

#include <utility>
#include <vector>

#include "vmm/devices/ports.hpp"

namespace softsnp::devices::test {

struct RecordedLine final : InterruptLine {
  void set(Level level) override {
    if (level == Level::high && now == Level::low) {
      ++rising;
    }
    now = level;
  }
  bool high() const { return now == Level::high; }
  Level now = Level::low;
  unsigned rising = 0;
};

// 1 GHz unless told otherwise.
struct HandClock final : Clock {
  u64 now() const override { return ticks; }
  u64 frequency_hz() const override { return hz; }
  void add_microseconds(u64 us) { ticks += us * (hz / 1'000'000); }
  void add_seconds(u64 seconds) { ticks += seconds * hz; }
  u64 ticks = 0;
  u64 hz = 1'000'000'000;
};

struct RecordedOutput final : OutputSink {
  void put(u8 byte) override { bytes.push_back(byte); }
  std::vector<u8> bytes;
};

struct RecordedMessages final : MessagePort {
  void send(u64 address, u32 data) override { sent.emplace_back(address, data); }
  std::vector<std::pair<u64, u32>> sent;
};

struct RecordedControl final : ControlPort {
  void power_off() override { ++power_offs; }
  void reset() override { ++resets; }
  void debug_exit(u32 value) override { exits.push_back(value); }
  unsigned power_offs = 0;
  unsigned resets = 0;
  std::vector<u32> exits;
};

}  // namespace softsnp::devices::test

#include "vmm/devices/pit_channel.hpp"

namespace softsnp::devices::pit {
namespace {

using Channel = Pit::Channel;

bool periodic(const Channel& channel) {
  return channel.mode == 2 || channel.mode == 3;
}

bool gate_stops_count(const Channel& channel) {
  return channel.mode == 0 || channel.mode == 4;
}

bool counting(const Channel& channel) {
  return channel.loaded && channel.started && (channel.gate || !periodic(channel));
}

// Ticks after which the output of a one-shot mode rises: modes 4 and 5 strobe low for one.
u64 one_shot_rise(const Channel& channel) {
  return channel.mode >= 4 ? u64{channel.reload} + 1 : channel.reload;
}

u16 to_bcd(u32 value) {
  u32 result = 0;
  for (unsigned shift = 0; shift < 16; shift += 4) {
    result |= (value % 10) << shift;
    value /= 10;
  }
  return static_cast<u16>(result);
}

u32 binary_count(const Channel& channel, u64 now) {
  const u64 passed = elapsed(channel, now);
  const u64 reload = channel.reload;
  if (channel.mode == 2) {
    return static_cast<u32>(reload - passed % reload);
  }
  if (channel.mode == 3) {  // counts by two, twice a period
    const u64 half_high = (reload + 1) / 2;
    const u64 position = passed % reload;
    const u64 in_half = position < half_high ? position : position - half_high;
    return static_cast<u32>((reload & ~u64{1}) - 2 * in_half);
  }
  const u64 modulus = channel.bcd ? 10000 : 0x10000;
  return static_cast<u32>((reload + modulus - passed % modulus) % modulus);
}

}  // namespace

u64 elapsed(const Channel& channel, u64 now) {
  if (gate_stops_count(channel) && !channel.gate) {
    return channel.paused;
  }
  return now > channel.start ? now - channel.start : 0;
}

u16 count(const Channel& channel, u64 now) {
  const u32 value = counting(channel) ? binary_count(channel, now) : channel.reload;
  return channel.bcd ? to_bcd(value) : static_cast<u16>(value);
}

bool output(const Channel& channel, u64 now) {
  if (!counting(channel)) {
    return channel.mode != 0;
  }
  const u64 passed = elapsed(channel, now);
  switch (channel.mode) {
    case 0:
    case 1:
      return passed >= channel.reload;
    case 2:
      return passed % channel.reload != channel.reload - 1;
    case 3:
      return passed % channel.reload < (channel.reload + 1) / 2;
    default:
      return passed != channel.reload;
  }
}

u64 rising_edges(const Channel& channel, u64 now) {
  if (!counting(channel)) {
    return 0;
  }
  const u64 passed = elapsed(channel, now);
  if (periodic(channel)) {
    return passed / channel.reload;
  }
  return passed >= one_shot_rise(channel) ? 1 : 0;
}

u64 next_rising_edge(const Channel& channel, u64 now) {
  if (!counting(channel) || (gate_stops_count(channel) && !channel.gate)) {
    return 0;
  }
  if (periodic(channel)) {
    return channel.start + (elapsed(channel, now) / channel.reload + 1) * channel.reload;
  }
  return rising_edges(channel, now) ? 0 : channel.start + one_shot_rise(channel);
}

}  // namespace softsnp::devices::pit

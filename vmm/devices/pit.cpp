#include "vmm/devices/pit.hpp"

#include "vmm/devices/pit_channel.hpp"

namespace softsnp::devices {
namespace {

constexpr u16 port_control = 0x43, port_b = 0x61;
// Ticks of half a DRAM refresh period: port B bit 4 toggles with it.
constexpr u64 refresh_ticks = 18;

u32 from_bcd(u32 value) {
  u32 result = 0;
  for (unsigned shift = 16; shift > 0; shift -= 4) {
    result = result * 10 + ((value >> (shift - 4)) & 0xF);
  }
  return result;
}

// Only modes 0..5 exist; 6 and 7 are aliases of 2 and 3.
u8 canonical_mode(u8 mode) {
  return mode > 5 ? static_cast<u8>(mode & 3) : mode;
}

bool needs_trigger(u8 mode) {
  return mode == 1 || mode == 5;
}

u8 status(const Pit::Channel& channel, u64 now) {
  return static_cast<u8>((pit::output(channel, now) ? 0x80 : 0) | (channel.loaded ? 0 : 0x40) |
                         (static_cast<u8>(channel.access) << 4) | (channel.mode << 1) |
                         (channel.bcd ? 1 : 0));
}

void latch_count(Pit::Channel& channel, u64 now) {
  if (!channel.count_latched) {
    channel.latched_count = pit::count(channel, now);
    channel.count_latched = true;
  }
}

}  // namespace

Pit::Pit(InterruptLine& line, const Clock& clock) : line_(line), clock_(clock) {
  state_.channels[2].gate = false;
}

void Pit::load(unsigned number, u32 count) {
  Channel& channel = state_.channels[number];
  const u32 full = channel.bcd ? 10000 : 0x10000;
  const u32 value = channel.bcd ? from_bcd(count) : count;
  channel.reload = value == 0 ? full : value;
  // A count of 1 is illegal in modes 2 and 3 (data sheet, "Mode 2", "Mode 3").
  if ((channel.mode == 2 || channel.mode == 3) && channel.reload == 1) {
    channel.reload = 2;
  }
  channel.loaded = true;
  channel.started = !needs_trigger(channel.mode);
  channel.start = now();
  channel.paused = 0;
  if (number == 0) {
    state_.edges_seen = 0;
    line_.set(pit::output(channel, now()) ? Level::high : Level::low);
  }
}

void Pit::write_counter(unsigned number, u8 value) {
  Channel& channel = state_.channels[number];
  switch (channel.access) {
    case Access::low:
      load(number, value);
      break;
    case Access::high:
      load(number, u32{value} << 8);
      break;
    default:
      if (channel.write_high_next) {
        load(number, u32{value} << 8 | channel.low_byte);
      } else {
        channel.low_byte = value;
      }
      channel.write_high_next = !channel.write_high_next;
  }
}

u8 Pit::read_counter(Channel& channel) {
  if (channel.status_latched) {
    channel.status_latched = false;
    return channel.latched_status;
  }
  const u16 value = channel.count_latched ? channel.latched_count : pit::count(channel, now());
  const bool both = channel.access == Access::both;
  const bool high = both ? channel.read_high_next : channel.access == Access::high;
  if (both) {
    channel.read_high_next = !channel.read_high_next;
  }
  if (!both || high) {
    channel.count_latched = false;
  }
  return static_cast<u8>(high ? value >> 8 : value);
}

// Bits 5 and 4 clear: latch the count, the status of the counters in bits 3..1.
void Pit::read_back(u8 value) {
  for (unsigned number = 0; number < 3; ++number) {
    Channel& channel = state_.channels[number];
    if (!(value & (2u << number))) {
      continue;
    }
    if (!(value & 0x20)) {
      latch_count(channel, now());
    }
    if (!(value & 0x10) && !channel.status_latched) {
      channel.latched_status = status(channel, now());
      channel.status_latched = true;
    }
  }
}

void Pit::write_control(u8 value) {
  const unsigned number = value >> 6;
  if (number == 3) {
    read_back(value);
    return;
  }
  Channel& channel = state_.channels[number];
  const auto access = static_cast<Access>((value >> 4) & 3);
  if (access == Access::latch) {
    latch_count(channel, now());
    return;
  }
  Channel fresh;
  fresh.gate = channel.gate;
  fresh.access = access;
  fresh.mode = canonical_mode((value >> 1) & 7);
  fresh.bcd = (value & 1) != 0;
  channel = fresh;
  if (number == 0) {
    state_.edges_seen = 0;
    line_.set(pit::output(channel, now()) ? Level::high : Level::low);
  }
}

void Pit::set_gate(Channel& channel, bool gate) {
  const bool rising = gate && !channel.gate;
  if (channel.mode == 0 || channel.mode == 4) {  // the gate only pauses
    if (rising) {
      channel.start = now() - channel.paused;
    } else if (!gate && channel.gate) {
      channel.paused = pit::elapsed(channel, now());
    }
  } else if (rising) {
    channel.start = now();
    channel.started = channel.started || channel.loaded;
  }
  channel.gate = gate;
}

u8 Pit::read_port_b() const {
  const u64 tick = now();
  const bool refresh = (tick / refresh_ticks) & 1;
  const bool out = pit::output(state_.channels[2], tick);
  return static_cast<u8>(state_.port_b | (refresh ? 0x10 : 0) | (out ? 0x20 : 0));
}

u8 Pit::read_byte(u16 port) {
  if (port == port_b) {
    return read_port_b();
  }
  if (port == port_control) {
    return 0xFF;
  }
  return read_counter(state_.channels[(port & 3) % 3]);
}

void Pit::write_byte(u16 port, u8 value) {
  if (port == port_b) {
    state_.port_b = value & 3;
    set_gate(state_.channels[2], (value & 1) != 0);
  } else if (port == port_control) {
    write_control(value);
  } else {
    write_counter((port & 3) % 3, value);
  }
}

u64 Pit::next_event() const {
  const u64 tick = pit::next_rising_edge(state_.channels[0], now());
  return tick == 0 ? 0 : instant_of(clock_, tick, input_hz);
}

// Edges missed while nobody looked are one edge: the 8259A holds a single request.
void Pit::advance() {
  const Channel& channel = state_.channels[0];
  const u64 tick = now();
  const u64 edges = pit::rising_edges(channel, tick);
  if (edges != state_.edges_seen) {
    state_.edges_seen = edges;
    line_.set(Level::low);
    line_.set(Level::high);
  }
  line_.set(pit::output(channel, tick) ? Level::high : Level::low);
}

}  // namespace softsnp::devices

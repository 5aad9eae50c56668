#include "vmm/devices/ioapic.hpp"

#include "base/bits.hpp"

namespace softsnp::devices {
namespace {

constexpr u64 offset_select = 0x00, offset_window = 0x10, offset_eoi = 0x40;
constexpr u8 register_id = 0, register_version = 1, register_arbitration = 2,
             register_redirection = 0x10;
constexpr u32 version = 0x20 | (Ioapic::pin_count - 1) << 16;

// Redirection table entry, 82093AA section 3.2.4.
namespace entry_bit {
constexpr u64 delivery_status = bit(12), remote_irr = bit(14), level = bit(15), masked = bit(16);
constexpr u64 logical = bit(11);
constexpr u64 read_only = delivery_status | remote_irr;
constexpr u64 writable = mask_bits(63, 56) | mask_bits(16, 0);
}  // namespace entry_bit

constexpr u8 vector_of(u64 entry) {
  return static_cast<u8>(entry);
}

}  // namespace

Ioapic::Ioapic(MessagePort& messages) : messages_(messages) {
  state_.redirection.fill(entry_bit::masked);
}

void Ioapic::deliver(u64 entry) {
  constexpr u64 message_base = 0xFEE00000;
  const u64 destination = get_bits(entry, 63, 56);
  const u64 address = message_base | destination << 12 | ((entry & entry_bit::logical) ? 4 : 0);
  // Vector and delivery mode stand where the message wants them; level-triggered messages assert.
  const u64 level = (entry & entry_bit::level) ? bit(15) | bit(14) : 0;
  messages_.send(address, static_cast<u32>(get_bits(entry, 10, 0) | level));
}

void Ioapic::service(unsigned pin) {
  u64& entry = state_.redirection[pin];
  const u32 request = u32{1} << pin;
  if (!(state_.request & request) || (entry & entry_bit::masked)) {
    return;
  }
  if (entry & entry_bit::level) {
    if (entry & entry_bit::remote_irr) {
      return;
    }
    entry |= entry_bit::remote_irr;
  } else {
    state_.request &= ~request;
  }
  deliver(entry);
}

// 82093AA 3.2.4: an edge on a masked input is lost, a level is not.
void Ioapic::set_line(u8 pin, Level level) {
  if (pin >= pin_count) {
    return;
  }
  const u32 mask = u32{1} << pin;
  const bool was_high = (state_.lines & mask) != 0;
  const u64 entry = state_.redirection[pin];
  if (level == Level::low) {
    state_.lines &= ~mask;
    state_.request &= (entry & entry_bit::level) ? ~mask : ~u32{0};
    return;
  }
  state_.lines |= mask;
  const bool edge_counts = !was_high && !(entry & entry_bit::masked);
  if ((entry & entry_bit::level) || edge_counts) {
    state_.request |= mask;
    service(pin);
  }
}

void Ioapic::end_of_interrupt(u8 vector) {
  for (unsigned pin = 0; pin < pin_count; ++pin) {
    u64& entry = state_.redirection[pin];
    if (vector_of(entry) == vector && (entry & entry_bit::level) &&
        (entry & entry_bit::remote_irr)) {
      entry &= ~entry_bit::remote_irr;
      service(pin);
    }
  }
}

std::vector<u8> Ioapic::level_vectors() const {
  std::vector<u8> vectors;
  for (const u64 entry : state_.redirection) {
    const bool waits = (entry & entry_bit::remote_irr) || !(entry & entry_bit::masked);
    if ((entry & entry_bit::level) && waits) {
      vectors.push_back(vector_of(entry));
    }
  }
  return vectors;
}

u32 Ioapic::read_register() const {
  switch (state_.select) {
    case register_id:
    case register_arbitration:
      return u32{state_.id} << 24;
    case register_version:
      return version;
  }
  const unsigned index = state_.select - unsigned{register_redirection};
  if (state_.select < register_redirection || index >= 2 * pin_count) {
    return 0;
  }
  const u64 entry = state_.redirection[index / 2];
  return static_cast<u32>((index & 1) ? entry >> 32 : entry);
}

void Ioapic::write_redirection(unsigned pin, bool high, u32 value) {
  u64& entry = state_.redirection[pin];
  const u64 kept = entry & entry_bit::read_only;
  u64 wanted = high ? with_bits(entry, 63, 32, value) : with_bits(entry, 31, 0, value);
  wanted &= entry_bit::writable & ~entry_bit::read_only;
  // Remote IRR means nothing for edges: switching to edge clears it, which Linux relies on to
  // get rid of a stuck one.
  entry = wanted | ((wanted & entry_bit::level) ? kept : kept & ~entry_bit::remote_irr);
  const u32 mask = u32{1} << pin;
  if (entry & entry_bit::level) {
    state_.request = (state_.request & ~mask) | (state_.lines & mask);
  }
  service(pin);
}

void Ioapic::write_register(u32 value) {
  if (state_.select == register_id) {
    state_.id = static_cast<u8>(value >> 24) & 0x0F;
    return;
  }
  const unsigned index = state_.select - unsigned{register_redirection};
  if (state_.select >= register_redirection && index < 2 * pin_count) {
    write_redirection(index / 2, (index & 1) != 0, value);
  }
}

u32 Ioapic::read(u64 offset) const {
  switch (offset) {
    case offset_select:
      return state_.select;
    case offset_window:
      return read_register();
    default:
      return 0;
  }
}

void Ioapic::write(u64 offset, u32 value) {
  switch (offset) {
    case offset_select:
      state_.select = static_cast<u8>(value);
      break;
    case offset_window:
      write_register(value);
      break;
    case offset_eoi:
      end_of_interrupt(static_cast<u8>(value));
      break;
    default:
      break;
  }
}

}  // namespace softsnp::devices

#include "vmm/devices/pic.hpp"

#include <optional>

namespace softsnp::devices {
namespace {

constexpr u8 cascade_input = 2;
constexpr u8 spurious_input = 7;
// Inputs that can only be edge-triggered: 0, 1, 2 and 8, 13 (82371SB, ELCR1 and ELCR2).
constexpr std::array<u8, 2> elcr_writable{0xF8, 0xDE};

constexpr u8 input_bit(unsigned input) {
  return static_cast<u8>(1u << input);
}

// The input of highest priority among bits; inputs rotate so that lowest comes last.
std::optional<unsigned> first_by_priority(u8 bits, u8 lowest) {
  for (unsigned i = 1; i <= 8; ++i) {
    const unsigned input = (lowest + i) & 7;
    if (bits & input_bit(input)) {
      return input;
    }
  }
  return std::nullopt;
}

unsigned priority_of(unsigned input, u8 lowest) {
  return (input - lowest - 1) & 7;
}

// Fully nested mode: a request passes if no input of the same or a higher priority is in service.
std::optional<unsigned> winner(const Pic::Chip& chip, bool is_master) {
  const auto input = first_by_priority(chip.request & ~chip.mask, chip.lowest_priority);
  if (!input) {
    return std::nullopt;
  }
  u8 blocking = chip.in_service;
  if (chip.special_mask) {
    blocking &= static_cast<u8>(~chip.mask);
  }
  if (chip.special_fully_nested && is_master) {
    blocking &= static_cast<u8>(~input_bit(cascade_input));
  }
  const auto served = first_by_priority(blocking, chip.lowest_priority);
  if (served &&
      priority_of(*served, chip.lowest_priority) <= priority_of(*input, chip.lowest_priority)) {
    return std::nullopt;
  }
  return input;
}

void set_input(Pic::Chip& chip, unsigned input, bool high) {
  const u8 bit = input_bit(input);
  const bool was_high = (chip.lines & bit) != 0;
  chip.lines = static_cast<u8>(high ? chip.lines | bit : chip.lines & ~bit);
  if (chip.level_triggered & bit) {
    chip.request = static_cast<u8>(high ? chip.request | bit : chip.request & ~bit);
  } else if (high && !was_high) {
    chip.request |= bit;
  }
}

void accept(Pic::Chip& chip, unsigned input) {
  const u8 bit = input_bit(input);
  if (!chip.auto_eoi) {
    chip.in_service |= bit;
  } else if (chip.rotate_on_auto_eoi) {
    chip.lowest_priority = static_cast<u8>(input);
  }
  if (!(chip.level_triggered & bit)) {
    chip.request &= static_cast<u8>(~bit);
  }
}

// ICW1: all but mask of wiring (lines, ELCR) starts anew.
void begin_initialization(Pic::Chip& chip, u8 icw1) {
  Pic::Chip fresh;
  fresh.lines = chip.lines;
  fresh.level_triggered = chip.level_triggered;
  fresh.request = chip.lines & chip.level_triggered;
  fresh.vector_base = chip.vector_base;
  fresh.wants_icw4 = (icw1 & 1) != 0;
  fresh.single = (icw1 & 2) != 0;
  fresh.expect = Pic::Expect::icw2;
  chip = fresh;
}

// OCW2: rotate, specific, EOI in bits 7..5.
void end_of_interrupt(Pic::Chip& chip, u8 value) {
  const bool rotate = (value & 0x80) != 0;
  const bool specific = (value & 0x40) != 0;
  const bool eoi = (value & 0x20) != 0;
  if (!eoi) {
    if (specific && rotate) {
      chip.lowest_priority = value & 7;
    } else if (!specific) {
      chip.rotate_on_auto_eoi = rotate;
    }
    return;
  }
  const auto input = specific ? std::optional<unsigned>(value & 7u)
                              : first_by_priority(chip.in_service, chip.lowest_priority);
  if (!input) {
    return;
  }
  chip.in_service &= static_cast<u8>(~input_bit(*input));
  if (rotate) {
    chip.lowest_priority = static_cast<u8>(*input);
  }
}

void write_ocw3(Pic::Chip& chip, u8 value) {
  if (value & 0x40) {
    chip.special_mask = (value & 0x20) != 0;
  }
  if (value & 0x02) {
    chip.read_in_service = (value & 0x01) != 0;
  }
  chip.poll = (value & 0x04) != 0;
}

void write_data(Pic::Chip& chip, u8 value) {
  switch (chip.expect) {
    case Pic::Expect::nothing:
      chip.mask = value;
      return;
    case Pic::Expect::icw2:
      chip.vector_base = value & 0xF8;
      chip.expect = !chip.single      ? Pic::Expect::icw3
                    : chip.wants_icw4 ? Pic::Expect::icw4
                                      : Pic::Expect::nothing;
      break;
    case Pic::Expect::icw3:  // the wiring is fixed
      chip.expect = chip.wants_icw4 ? Pic::Expect::icw4 : Pic::Expect::nothing;
      break;
    case Pic::Expect::icw4:
      chip.special_fully_nested = (value & 0x10) != 0;
      chip.auto_eoi = (value & 0x02) != 0;
      chip.expect = Pic::Expect::nothing;
      break;
  }
  chip.initialized = chip.expect == Pic::Expect::nothing;
}

}  // namespace

void Pic::update() {
  set_input(master(), cascade_input, winner(slave(), false).has_value());
  // The slave's output falls when its request is withdrawn; the 8259A then drops an edge too.
  if (!(master().lines & input_bit(cascade_input))) {
    master().request &= static_cast<u8>(~input_bit(cascade_input));
  } else if (!(master().in_service & input_bit(cascade_input)) || master().special_fully_nested) {
    master().request |= input_bit(cascade_input);
  }
  intr_.set(interrupt_pending() ? Level::high : Level::low);
}

bool Pic::interrupt_pending() const {
  return state_.chips[0].initialized && winner(state_.chips[0], true).has_value();
}

void Pic::set_line(u8 irq, Level level) {
  if (irq >= 16 || irq == cascade_input) {
    return;
  }
  set_input(state_.chips[irq >> 3], irq & 7, level == Level::high);
  update();
}

u8 Pic::acknowledge() {
  const auto input = winner(master(), true);
  if (!input) {
    return master().vector_base | spurious_input;
  }
  accept(master(), *input);
  u8 vector = static_cast<u8>(master().vector_base | *input);
  if (*input == cascade_input) {
    const auto below = winner(slave(), false);
    if (below) {
      accept(slave(), *below);
    }
    vector = static_cast<u8>(slave().vector_base | below.value_or(spurious_input));
  }
  update();
  return vector;
}

u8 Pic::poll(unsigned number) {
  Chip& chip = state_.chips[number];
  chip.poll = false;
  const auto input = winner(chip, number == 0);
  if (!input) {
    return 0;
  }
  accept(chip, *input);
  update();
  return static_cast<u8>(0x80 | *input);
}

u8 Pic::read_chip(unsigned number, bool data_port) {
  Chip& chip = state_.chips[number];
  if (chip.poll) {
    return poll(number);
  }
  if (data_port) {
    return chip.mask;
  }
  return chip.read_in_service ? chip.in_service : chip.request;
}

void Pic::write_command(unsigned number, u8 value) {
  Chip& chip = state_.chips[number];
  if (value & 0x10) {
    begin_initialization(chip, value);
  } else if (value & 0x08) {
    write_ocw3(chip, value);
  } else {
    end_of_interrupt(chip, value);
  }
}

void Pic::write_chip(unsigned number, bool data_port, u8 value) {
  if (data_port) {
    write_data(state_.chips[number], value);
  } else {
    write_command(number, value);
  }
  update();
}

u8 Pic::read_byte(u16 port) {
  if (port == 0x4D0 || port == 0x4D1) {
    return state_.chips[port & 1].level_triggered;
  }
  return read_chip((port & 0x80) ? 1 : 0, (port & 1) != 0);
}

void Pic::write_byte(u16 port, u8 value) {
  if (port == 0x4D0 || port == 0x4D1) {
    state_.chips[port & 1].level_triggered = value & elcr_writable[port & 1];
    return;
  }
  write_chip((port & 0x80) ? 1 : 0, (port & 1) != 0, value);
}

}  // namespace softsnp::devices

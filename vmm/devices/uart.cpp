#include "vmm/devices/uart.hpp"

#include "vmm/devices/time_scale.hpp"

namespace softsnp::devices {
namespace {

// PC16550D section 8, table II.
enum Register : u8 { rbr_thr, ier, iir_fcr, lcr, mcr, lsr, msr, scr };

namespace ier_bit {
constexpr u8 received = 1, transmitter_empty = 2, line_status = 4, modem_status = 8, all = 0x0F;
}
namespace iir_value {
constexpr u8 modem_status = 0, none = 1, transmitter_empty = 2, received = 4, line_status = 6,
             timeout = 0x0C, fifo_enabled = 0xC0;
}
namespace fcr_bit {
constexpr u8 enable = 1, clear_receiver = 2;
}
constexpr u8 lcr_dlab = 0x80;
namespace mcr_bit {
constexpr u8 dtr = 1, rts = 2, out1 = 4, out2 = 8, loop = 16, all = 0x1F;
}
namespace lsr_bit {
constexpr u8 data_ready = 1, overrun = 2, thre = 0x20, temt = 0x40;
}
namespace msr_bit {
constexpr u8 deltas = 0x0F, trailing_ring = 4, cts = 0x10, dsr = 0x20, ri = 0x40, dcd = 0x80;
}
constexpr u64 input_clock_hz = 1843200;  // linux-boot sheet 4.1: 115200 baud at divisor 1

}  // namespace

bool Uart::fifo_enabled() const {
  return (state_.fifo_control & fcr_bit::enable) != 0;
}

u8 Uart::capacity() const {
  return fifo_enabled() ? fifo_size : 1;
}

u8 Uart::trigger_level() const {
  constexpr u8 levels[4] = {1, 4, 8, 14};
  return fifo_enabled() ? levels[state_.fifo_control >> 6] : 1;
}

u8 Uart::room() const {
  return state_.count < capacity() ? static_cast<u8>(capacity() - state_.count) : 0;
}

// Section 8.5: four character times without a character coming or going.
u64 Uart::timeout_instant() const {
  const u64 bits_per_character = 1 + 5 + (state_.line_control & 3) +
                                 ((state_.line_control & 8) ? 1 : 0) +
                                 ((state_.line_control & 4) ? 2 : 1);
  const u64 divisor = state_.divisor ? state_.divisor : 1;
  const u64 input_ticks = 4 * bits_per_character * divisor * 16;
  return state_.last_receive_activity + instant_of(clock_, input_ticks, input_clock_hz);
}

u64 Uart::next_event() const {
  const bool waits = fifo_enabled() && state_.count != 0 && !state_.receive_timeout &&
                     (state_.interrupt_enable & ier_bit::received);
  return waits ? timeout_instant() : 0;
}

void Uart::advance() {
  if (fifo_enabled() && state_.count != 0 && clock_.now() >= timeout_instant()) {
    state_.receive_timeout = true;
  }
  update_line();
}

void Uart::receive(u8 byte) {
  state_.last_receive_activity = clock_.now();
  state_.receive_timeout = false;
  if (room() == 0) {
    state_.overrun = true;
  } else {
    state_.received[(state_.head + state_.count) % fifo_size] = byte;
    ++state_.count;
  }
  update_line();
}

void Uart::clear_receiver() {
  state_.head = 0;
  state_.count = 0;
  state_.receive_timeout = false;
}

// Section 8.6, table IV: sources in order of priority.
u8 Uart::interrupt_identification() const {
  const u8 enabled = state_.interrupt_enable;
  if ((enabled & ier_bit::line_status) && state_.overrun) {
    return iir_value::line_status;
  }
  if ((enabled & ier_bit::received) && state_.count >= trigger_level()) {
    return iir_value::received;
  }
  if ((enabled & ier_bit::received) && state_.receive_timeout) {
    return iir_value::timeout;
  }
  if ((enabled & ier_bit::transmitter_empty) && state_.transmitter_interrupt) {
    return iir_value::transmitter_empty;
  }
  if ((enabled & ier_bit::modem_status) && (state_.modem_status & msr_bit::deltas)) {
    return iir_value::modem_status;
  }
  return iir_value::none;
}

// On a PC the line passes a buffer that OUT2 opens; in loop-back the modem outputs are inactive.
void Uart::update_line() {
  const bool open = (state_.modem_control & (mcr_bit::out2 | mcr_bit::loop)) == mcr_bit::out2;
  const bool wanted = open && interrupt_identification() != iir_value::none;
  line_.set(wanted ? Level::high : Level::low);
}

u8 Uart::take_received() {
  if (state_.count == 0) {
    return 0;
  }
  const u8 byte = state_.received[state_.head];
  state_.head = (state_.head + 1) % fifo_size;
  --state_.count;
  state_.receive_timeout = false;
  state_.last_receive_activity = clock_.now();
  return byte;
}

u8 Uart::take_interrupt_identification() {
  const u8 source = interrupt_identification();
  if (source == iir_value::transmitter_empty) {
    state_.transmitter_interrupt = false;
  }
  return fifo_enabled() ? source | iir_value::fifo_enabled : source;
}

u8 Uart::take_line_status() {
  u8 value = lsr_bit::thre | lsr_bit::temt;
  value |= state_.count ? lsr_bit::data_ready : 0;
  value |= state_.overrun ? lsr_bit::overrun : 0;
  state_.overrun = false;
  return value;
}

u8 Uart::read_byte(u16 port) {
  const bool dlab = (state_.line_control & lcr_dlab) != 0;
  u8 value = 0;
  switch ((port - base_) & 7) {
    case rbr_thr:
      value = dlab ? static_cast<u8>(state_.divisor) : take_received();
      break;
    case ier:
      value = dlab ? static_cast<u8>(state_.divisor >> 8) : state_.interrupt_enable;
      break;
    case iir_fcr:
      value = take_interrupt_identification();
      break;
    case lcr:
      value = state_.line_control;
      break;
    case mcr:
      value = state_.modem_control;
      break;
    case lsr:
      value = take_line_status();
      break;
    case msr:
      value = state_.modem_status;
      state_.modem_status &= static_cast<u8>(~msr_bit::deltas);
      break;
    case scr:
      return state_.scratch;
  }
  update_line();
  return value;
}

void Uart::transmit(u8 value) {
  state_.transmitter_interrupt = true;  // empty again at once
  if (state_.modem_control & mcr_bit::loop) {
    receive(value);
  } else {
    output_.put(value);
  }
}

void Uart::write_interrupt_enable(u8 value) {
  const u8 rising = value & static_cast<u8>(~state_.interrupt_enable);
  state_.interrupt_enable = value & ier_bit::all;
  if (rising & ier_bit::transmitter_empty) {
    state_.transmitter_interrupt = true;
  }
}

// Section 8.4: changing the enable bit empties the FIFO; the other bits count only with it set.
void Uart::write_fifo_control(u8 value) {
  if ((value ^ state_.fifo_control) & fcr_bit::enable) {
    clear_receiver();
  }
  if (!(value & fcr_bit::enable)) {
    state_.fifo_control = 0;
    return;
  }
  if (value & fcr_bit::clear_receiver) {
    clear_receiver();
  }
  state_.fifo_control = value & 0xC9;
}

// Section 8.7: in loop-back the four outputs are the four inputs.
void Uart::write_modem_control(u8 value) {
  state_.modem_control = value & mcr_bit::all;
  u8 inputs = msr_bit::cts | msr_bit::dsr | msr_bit::dcd;
  if (value & mcr_bit::loop) {
    inputs = static_cast<u8>(
        ((value & mcr_bit::rts) ? msr_bit::cts : 0) | ((value & mcr_bit::dtr) ? msr_bit::dsr : 0) |
        ((value & mcr_bit::out1) ? msr_bit::ri : 0) | ((value & mcr_bit::out2) ? msr_bit::dcd : 0));
  }
  const u8 before = state_.modem_status & 0xF0;
  u8 deltas = static_cast<u8>((before ^ inputs) >> 4);
  if (!(before & msr_bit::ri)) {
    deltas &= static_cast<u8>(~msr_bit::trailing_ring);  // only the trailing edge counts
  }
  state_.modem_status = static_cast<u8>(inputs | (state_.modem_status & msr_bit::deltas) | deltas);
}

void Uart::write_byte(u16 port, u8 value) {
  const bool dlab = (state_.line_control & lcr_dlab) != 0;
  switch ((port - base_) & 7) {
    case rbr_thr:
      if (dlab) {
        state_.divisor = static_cast<u16>((state_.divisor & 0xFF00) | value);
      } else {
        transmit(value);
      }
      break;
    case ier:
      if (dlab) {
        state_.divisor = static_cast<u16>((state_.divisor & 0x00FF) | (value << 8));
      } else {
        write_interrupt_enable(value);
      }
      break;
    case iir_fcr:
      write_fifo_control(value);
      break;
    case lcr:
      state_.line_control = value;
      break;
    case mcr:
      write_modem_control(value);
      break;
    case scr:
      state_.scratch = value;
      return;
    default:  // LSR and MSR are read-only
      return;
  }
  update_line();
}

}  // namespace softsnp::devices

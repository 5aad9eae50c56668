#include "vmm/board.hpp"

#include <algorithm>
#include <array>

#include "arch/boot/platform.hpp"
#include "base/bytes.hpp"
#include "vmm/devices/time_scale.hpp"

namespace softsnp::vmm {
namespace {

namespace platform = boot::platform;

constexpr u8 timer_irq = 0;

bool in_ioapic(GuestPhysical at) {
  return at.value() - platform::ioapic_address < devices::Ioapic::window_size;
}

}  // namespace

Board::Board(const BoardConfig& config, const devices::Clock& clock, devices::MessagePort& messages,
             devices::OutputSink& serial_output)
    : pic_(intr_),
      ioapic_(messages),
      timer_line_(timer_irq, pic_, ioapic_),
      serial_line_(platform::com1_irq, pic_, ioapic_),
      clock_line_(platform::rtc_irq, pic_, ioapic_),
      pit_(timer_line_, clock),
      uart_(platform::com1_port, serial_line_, serial_output, clock),
      rtc_(clock_line_, clock, config.rtc_epoch_seconds),
      acpi_power_({platform::sleep_control_port, platform::sleep_status_port, platform::reset_port,
                   platform::reset_value, platform::sleep_type_s5},
                  end_requests_),
      system_control_a_(end_requests_),
      pci_config_(end_requests_),
      keyboard_(end_requests_),
      debug_exit_(end_requests_) {
  // The serial port leads: nearly all accesses are to it.
  bus_.add(platform::com1_port, platform::com1_ports, uart_);
  bus_.add(0x40, 4, pit_);
  bus_.add(0x61, 1, pit_);
  bus_.add(0x20, 2, pic_);
  bus_.add(0xA0, 2, pic_);
  bus_.add(0x4D0, 2, pic_);
  bus_.add(platform::rtc_port, platform::rtc_ports, rtc_);
  bus_.add(0x60, 1, keyboard_);
  bus_.add(0x64, 1, keyboard_);
  bus_.add(0x92, 1, system_control_a_);
  bus_.add(0xCF8, 8, pci_config_);
  bus_.add(platform::sleep_control_port, 1, acpi_power_);
  bus_.add(platform::sleep_status_port, 1, acpi_power_);
  bus_.add(platform::reset_port, 1, acpi_power_);
  if (config.debug_exit_port != 0) {
    bus_.add(config.debug_exit_port, devices::DebugExit::port_count, debug_exit_);
  }
}

void Board::find_next_event() {
  next_event_ =
      devices::earlier(pit_.next_event(), devices::earlier(uart_.next_event(), rtc_.next_event()));
}

u32 Board::read_port(u16 port, u8 size) {
  const u32 value = bus_.read(port, size);
  find_next_event();
  return value;
}

void Board::write_port(u16 port, u8 size, u32 value) {
  bus_.write(port, size, value);
  find_next_event();
}

void Board::read_memory(GuestPhysical at, std::span<u8> data) const {
  std::fill(data.begin(), data.end(), u8{0xFF});
  if (!in_ioapic(at)) {
    return;
  }
  const u64 offset = at.value() - platform::ioapic_address;
  for (usize i = 0; i < data.size(); ++i) {
    const u64 byte = offset + i;
    data[i] = static_cast<u8>(ioapic_.read(byte & ~u64{3}) >> (8 * (byte & 3)));
  }
}

// The I/O APIC takes aligned 32-bit stores alone (82093AA section 3.1).
void Board::write_memory(GuestPhysical at, std::span<const u8> data) {
  if (in_ioapic(at) && at.value() % 4 == 0 && data.size() == 4) {
    ioapic_.write(at.value() - platform::ioapic_address, load_le<u32>(data.data()));
  }
}

bool Board::serial_listens() const {
  return (uart_.state().interrupt_enable & 1) != 0;
}

void Board::serial_receive(u8 byte) {
  uart_.receive(byte);
  find_next_event();
}

void Board::advance() {
  pit_.advance();
  uart_.advance();
  rtc_.advance();
  find_next_event();
}

}  // namespace softsnp::vmm

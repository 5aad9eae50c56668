// The devices of the machine, wired: ports, interrupt lines, MMIO windows.
#pragma once

#include <span>

#include "arch/address.hpp"
#include "vmm/devices/acpi_power.hpp"
#include "vmm/devices/pit.hpp"
#include "vmm/devices/port_bus.hpp"
#include "vmm/devices/reset_ports.hpp"
#include "vmm/devices/rtc.hpp"
#include "vmm/devices/uart.hpp"
#include "vmm/end_request.hpp"
#include "vmm/isa_line.hpp"

namespace softsnp::vmm {

struct BoardConfig {
  u16 debug_exit_port = 0;  // 0 = none
  i64 rtc_epoch_seconds = 0;
};

class Board {
 public:
  // The ports must outlive the board.
  Board(const BoardConfig& config, const devices::Clock& clock, devices::MessagePort& messages,
        devices::OutputSink& serial_output);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  u32 read_port(u16 port, u8 size);
  void write_port(u16 port, u8 size, u32 value);
  // What no device claims reads all ones; writes to it are dropped. data: at most 8 bytes.
  void read_memory(GuestPhysical at, std::span<u8> data) const;
  void write_memory(GuestPhysical at, std::span<const u8> data);

  // Whether the serial port's driver listens: characters sent before are usually thrown away.
  bool serial_listens() const;
  u8 serial_room() const { return uart_.room(); }
  void serial_receive(u8 byte);

  // Clock time of the next change without the guest's doing, 0 = none.
  u64 next_event() const { return next_event_; }
  void advance();

  const std::optional<EndRequest>& end_request() const { return end_requests_.first(); }
  devices::Pic& pic() { return pic_; }
  devices::Ioapic& ioapic() { return ioapic_; }

 private:
  // The 8259's output: the run loop asks Pic::interrupt_pending() itself.
  class IgnoredLine final : public devices::InterruptLine {
    void set(devices::Level) override {}
  };
  void find_next_event();

  EndRequests end_requests_;
  IgnoredLine intr_;
  devices::Pic pic_;
  devices::Ioapic ioapic_;
  IsaLine timer_line_, serial_line_, clock_line_;
  devices::Pit pit_;
  devices::Uart uart_;
  devices::Rtc rtc_;
  devices::AcpiPower acpi_power_;
  devices::SystemControlA system_control_a_;
  devices::PciConfigPorts pci_config_;
  devices::KeyboardPorts keyboard_;
  devices::DebugExit debug_exit_;
  devices::PortBus bus_;
  u64 next_event_ = 0;
};

}  // namespace softsnp::vmm

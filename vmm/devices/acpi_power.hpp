// Sleep control and status and the reset register of hardware-reduced ACPI. ACPI 6.5, 4.8.3.7
// "Sleep Control and Status", 4.8.3.6 "Reset Register"; linux-boot sheet 4.7.
#pragma once

#include "vmm/devices/port_device.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::devices {

struct AcpiPowerPorts {
  u16 sleep_control = 0;
  u16 sleep_status = 0;
  u16 reset = 0;
  u8 reset_value = 0;
  u8 s5_type = 5;  // the DSDT's _S5 package
};

class AcpiPower final : public BytePortDevice {
 public:
  AcpiPower(const AcpiPowerPorts& ports, ControlPort& control) : ports_(ports), control_(control) {}

  u8 read_byte(u16 port) override;
  void write_byte(u16 port, u8 value) override;

 private:
  AcpiPowerPorts ports_;
  ControlPort& control_;
};

}  // namespace softsnp::devices

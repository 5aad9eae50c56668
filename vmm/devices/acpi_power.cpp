#include "vmm/devices/acpi_power.hpp"

namespace softsnp::devices {

// The status register's only bit is WAK_STS, and this machine never wakes.
u8 AcpiPower::read_byte(u16) {
  return 0;
}

void AcpiPower::write_byte(u16 port, u8 value) {
  constexpr u8 sleep_enable = 0x20;
  if (port == ports_.reset && value == ports_.reset_value) {
    control_.reset();
  }
  const bool sleep = port == ports_.sleep_control && (value & sleep_enable);
  if (sleep && ((value >> 2) & 7) == ports_.s5_type) {
    control_.power_off();
  }
}

}  // namespace softsnp::devices

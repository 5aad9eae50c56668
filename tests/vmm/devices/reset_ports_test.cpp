#include "vmm/devices/reset_ports.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"
#include "vmm/devices/acpi_power.hpp"
#include "vmm/devices/port_bus.hpp"

namespace softsnp::devices::test {
namespace {

constexpr AcpiPowerPorts acpi_ports{0x600, 0x601, 0x602, 0x42, 5};

TEST(AcpiPower, SleepTypeFiveWithEnablePowersOff) {
  RecordedControl control;
  AcpiPower power(acpi_ports, control);
  power.write_byte(0x600, 5 << 2);  // no SLP_EN
  power.write_byte(0x600, 0x20 | 3 << 2);
  power.write_byte(0x601, 0x34);
  EXPECT_EQ(control.power_offs, 0u);
  power.write_byte(0x600, 0x34);
  EXPECT_EQ(control.power_offs, 1u);
  EXPECT_EQ(power.read_byte(0x601), 0);
}

TEST(AcpiPower, ResetRegisterNeedsItsValue) {
  RecordedControl control;
  AcpiPower power(acpi_ports, control);
  power.write_byte(0x602, 0x41);
  EXPECT_EQ(control.resets, 0u);
  power.write_byte(0x602, 0x42);
  EXPECT_EQ(control.resets, 1u);
}

// Linux native_machine_emergency_restart(), BOOT_CF9_FORCE: 2, then 6 or Eh.
TEST(PciConfigPorts, Cf9ResetsOnTheRise) {
  RecordedControl control;
  PciConfigPorts ports(control);
  ports.write(0xCF9, 1, 2);
  EXPECT_EQ(control.resets, 0u);
  ports.write(0xCF9, 1, 0xE);
  EXPECT_EQ(control.resets, 1u);
  EXPECT_EQ(ports.read(0xCF9, 1), 0xEu);
}

TEST(PciConfigPorts, NoHostBridge) {
  RecordedControl control;
  PciConfigPorts ports(control);
  ports.write(0xCF8, 4, 0x80000006);
  EXPECT_EQ(ports.read(0xCF8, 4), 0xFFFFFFFF);
  EXPECT_EQ(ports.read(0xCFC, 4), 0xFFFFFFFF);
  EXPECT_EQ(control.resets, 0u);
}

TEST(KeyboardPorts, AbsentButResets) {
  RecordedControl control;
  KeyboardPorts ports(control);
  EXPECT_EQ(ports.read_byte(0x64), 0xFF);
  ports.write_byte(0x64, 0xAA);
  ports.write_byte(0x60, 0xFE);
  EXPECT_EQ(control.resets, 0u);
  ports.write_byte(0x64, 0xFE);
  EXPECT_EQ(control.resets, 1u);
}

TEST(SystemControlA, FastResetAndA20) {
  RecordedControl control;
  SystemControlA port(control);
  EXPECT_EQ(port.read_byte(0x92), 2);
  port.write_byte(0x92, 3);
  EXPECT_EQ(control.resets, 1u);
  port.write_byte(0x92, 3);
  EXPECT_EQ(control.resets, 1u);
}

TEST(DebugExit, PassesTheValue) {
  RecordedControl control;
  DebugExit device(control);
  device.write(0xF4, 4, 0x10);
  EXPECT_EQ(control.exits, std::vector<u32>{0x10});
}

TEST(PortBus, UnclaimedPortsReadAllOnes) {
  PortBus bus;
  EXPECT_EQ(bus.read(0x2F9, 1), 0xFFu);
  EXPECT_EQ(bus.read(0x2F9, 2), 0xFFFFu);
  EXPECT_EQ(bus.read(0xFFFF, 4), 0xFFFFFFFFu);
  bus.write(0x80, 1, 0);
}

TEST(PortBus, WideAccessesReachByteDevicesAsBytes) {
  RecordedControl control;
  AcpiPower power(acpi_ports, control);
  PortBus bus;
  bus.add(0x600, 3, power);
  bus.write(0x601, 2, 0x4200);
  EXPECT_EQ(control.resets, 1u);
  EXPECT_EQ(bus.read(0x600, 2), 0u);
}

}  // namespace
}  // namespace softsnp::devices::test

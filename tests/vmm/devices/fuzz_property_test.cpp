// No sequence of accesses, line changes and time steps crashes a device or breaks what it promises
// its owner. Runs from a fixed seed.
#include <gtest/gtest.h>

#include <random>

#include "tests/vmm/devices/fakes.hpp"
#include "vmm/devices/acpi_power.hpp"
#include "vmm/devices/ioapic.hpp"
#include "vmm/devices/pic.hpp"
#include "vmm/devices/pit.hpp"
#include "vmm/devices/port_bus.hpp"
#include "vmm/devices/reset_ports.hpp"
#include "vmm/devices/rtc.hpp"
#include "vmm/devices/uart.hpp"

namespace softsnp::devices::test {
namespace {

constexpr unsigned steps = 400'000;

struct Devices {
  RecordedLine timer, serial, alarm, intr;
  RecordedOutput output;
  RecordedMessages messages;
  RecordedControl control;
  HandClock clock;
  Pit pit{timer, clock};
  Uart uart{0x3F8, serial, output, clock};
  Rtc rtc{alarm, clock, 1'700'000'000};
  Pic pic{intr};
  Ioapic ioapic{messages};
  AcpiPower power{{0x600, 0x601, 0x602, 0x42, 5}, control};
  PciConfigPorts pci{control};
  KeyboardPorts keyboard{control};
  SystemControlA system{control};
  PortBus bus;
  Devices() {
    bus.add(0x3F8, 8, uart);
    bus.add(0x40, 4, pit);
    bus.add(0x61, 1, pit);
    bus.add(0x20, 2, pic);
    bus.add(0xA0, 2, pic);
    bus.add(0x4D0, 2, pic);
    bus.add(0x70, 2, rtc);
    bus.add(0x60, 1, keyboard);
    bus.add(0x64, 1, keyboard);
    bus.add(0x92, 1, system);
    bus.add(0xCF8, 8, pci);
    bus.add(0x600, 3, power);
  }
};

u16 likely_port(std::mt19937_64& random) {
  constexpr u16 ports[] = {0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x40,  0x41,
                           0x42,  0x43,  0x61,  0x20,  0x21,  0xA0,  0xA1,  0x4D0, 0x4D1, 0x70,
                           0x71,  0x60,  0x64,  0x92,  0xCF8, 0xCF9, 0xCFC, 0x600, 0x601, 0x602};
  const u64 pick = random();
  return pick % 64 == 0 ? static_cast<u16>(pick >> 32) : ports[(pick >> 8) % std::size(ports)];
}

void check_promises(Devices& d) {
  const Uart::State& uart = d.uart.state();
  ASSERT_LE(uart.count, Uart::fifo_size);
  ASSERT_LT(uart.head, Uart::fifo_size);
  for (const u64 event : {d.pit.next_event(), d.rtc.next_event()}) {
    ASSERT_TRUE(event == 0 || event > d.clock.ticks) << "an event in the past would spin";
  }
  for (const auto& [address, data] : d.messages.sent) {
    ASSERT_EQ(address >> 20, 0xFEEu);
    ASSERT_EQ(data >> 16, 0u);
  }
  d.messages.sent.clear();
  d.output.bytes.clear();
}

void step(Devices& d, std::mt19937_64& random) {
  constexpr u8 sizes[] = {1, 1, 1, 2, 4};
  const u8 size = sizes[random() % std::size(sizes)];
  switch (random() % 9) {
    case 0:
    case 1:
    case 2:
      d.bus.write(likely_port(random), size, static_cast<u32>(random()));
      break;
    case 3:
    case 4: {
      const u32 value = d.bus.read(likely_port(random), size);
      ASSERT_TRUE(size == 4 || value >> (8 * size) == 0);
      break;
    }
    case 5:
      d.clock.ticks += random() >> (20 + random() % 44);
      d.pit.advance();
      d.uart.advance();
      d.rtc.advance();
      break;
    case 6:
      d.uart.receive(static_cast<u8>(random()));
      break;
    case 7: {
      const auto level = random() & 1 ? Level::high : Level::low;
      d.pic.set_line(static_cast<u8>(random() % 20), level);
      d.ioapic.set_line(static_cast<u8>(random() % 30), level);
      if (d.pic.interrupt_pending()) {
        d.pic.acknowledge();
      }
      break;
    }
    default:
      d.ioapic.write((random() % 5) * 0x10, static_cast<u32>(random() >> (random() % 32)));
      d.ioapic.read((random() % 5) * 0x10);
      d.ioapic.end_of_interrupt(static_cast<u8>(random()));
  }
  check_promises(d);
}

TEST(DeviceProperty, RandomAccessesNeverCrashAndEventsLieAhead) {
  for (u64 seed = 1; seed <= 4; ++seed) {
    Devices devices;
    devices.clock.hz = seed % 2 ? 1'000'000'000 : 2'396'000'017;
    std::mt19937_64 random(seed);
    for (unsigned i = 0; i < steps / 4; ++i) {
      step(devices, random);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "seed " << seed << " step " << i;
      }
    }
  }
}

TEST(DeviceProperty, RestoredStateContinuesAlike) {
  std::mt19937_64 random(7);
  Devices first;
  for (unsigned i = 0; i < 2000; ++i) {
    step(first, random);
  }
  Devices second;
  second.clock = first.clock;
  second.pit.restore(first.pit.state());
  second.uart.restore(first.uart.state());
  second.rtc.restore(first.rtc.state());
  second.pic.restore(first.pic.state());
  second.ioapic.restore(first.ioapic.state());
  std::mt19937_64 again = random;
  for (unsigned i = 0; i < 2000; ++i) {
    step(first, random);
    step(second, again);
    ASSERT_EQ(first.pit.state(), second.pit.state());
    ASSERT_EQ(first.uart.state(), second.uart.state());
    ASSERT_EQ(first.rtc.state(), second.rtc.state());
    ASSERT_EQ(first.pic.state(), second.pic.state());
    ASSERT_EQ(first.ioapic.state(), second.ioapic.state());
  }
}

}  // namespace
}  // namespace softsnp::devices::test

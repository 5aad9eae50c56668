// An ISA interrupt line: an input of the 8259 pair and of the I/O APIC at once, as on a PC; IRQ 0
// is wired to I/O APIC input 2 (ACPI 6.5, 5.2.12.5).
#pragma once

#include "vmm/devices/ioapic.hpp"
#include "vmm/devices/pic.hpp"

namespace softsnp::vmm {

class IsaLine final : public devices::InterruptLine {
 public:
  IsaLine(u8 irq, devices::Pic& pic, devices::Ioapic& ioapic)
      : irq_(irq), pic_(pic), ioapic_(ioapic) {}

  void set(devices::Level level) override {
    if (level == level_) {
      return;
    }
    level_ = level;
    pic_.set_line(irq_, level);
    ioapic_.set_line(irq_ == 0 ? 2 : irq_, level);
  }

 private:
  u8 irq_;
  devices::Pic& pic_;
  devices::Ioapic& ioapic_;
  devices::Level level_ = devices::Level::low;
};

}  // namespace softsnp::vmm

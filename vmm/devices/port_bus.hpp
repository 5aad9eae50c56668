// The I/O port space: ranges of ports and the devices behind them. Ports without a device read all
// ones and drop writes (linux-boot sheet 4.1).
#pragma once

#include <vector>

#include "vmm/devices/port_device.hpp"

namespace softsnp::devices {

class PortBus {
 public:
  // Ports [first, first + count) belong to device, which must outlive the bus. The range added
  // first wins where two overlap.
  void add(u16 first, u16 count, PortDevice& device);

  u32 read(u16 port, u8 size) const;
  void write(u16 port, u8 size, u32 value) const;

 private:
  struct Range {
    u16 first;
    u16 count;
    PortDevice* device;
  };
  const Range* find(u16 port) const;
  std::vector<Range> ranges_;
};

}  // namespace softsnp::devices

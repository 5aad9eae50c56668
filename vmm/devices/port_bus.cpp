#include "vmm/devices/port_bus.hpp"

namespace softsnp::devices {

void PortBus::add(u16 first, u16 count, PortDevice& device) {
  ranges_.push_back({first, count, &device});
}

const PortBus::Range* PortBus::find(u16 port) const {
  for (const Range& range : ranges_) {
    if (port >= range.first && port - range.first < range.count) {
      return &range;
    }
  }
  return nullptr;
}

u32 PortBus::read(u16 port, u8 size) const {
  const u32 mask = size >= 4 ? ~u32{0} : (u32{1} << (8 * size)) - 1;
  const Range* range = find(port);
  return (range ? range->device->read(port, size) : ~u32{0}) & mask;
}

void PortBus::write(u16 port, u8 size, u32 value) const {
  if (const Range* range = find(port)) {
    range->device->write(port, size, value);
  }
}

}  // namespace softsnp::devices

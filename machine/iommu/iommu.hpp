// Devices on their way to DRAM: the IOMMU's own RMP check, and its event log. Hardware sheet 2.3
// ("DMA"), 5.1. Address translation is the identity: a device names system physical addresses, as
// behind a pass-through domain.
#pragma once

#include <deque>
#include <span>

#include "base/result.hpp"
#include "machine/memory/dram/dram.hpp"
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::iommu {

// Bus, device and function as PCI Express packs them.
enum class DeviceId : u16 {};

struct Event {
  DeviceId device{};
  SystemPhysical address;
  bool write = false;
  memory::Rule rule = memory::Rule::none;  // none: there is no DRAM
};

class Iommu {
 public:
  // The hardware's log is a ring of at least 256 entries (512 is what Linux sets up); older ones
  // give way.
  static constexpr usize log_entries = 512;

  Iommu(memory::Dram& dram, memory::Rmp& rmp) : dram_(dram), rmp_(rmp) {}

  // Moves bytes without a key. A refused access moves nothing and is logged.
  Result<void, Event> read(DeviceId device, SystemPhysical at, std::span<u8> to);
  Result<void, Event> write(DeviceId device, SystemPhysical at, std::span<const u8> from);

  // Oldest first.
  const std::deque<Event>& log() const { return log_; }

 private:
  Result<void, Event> check(DeviceId device, SystemPhysical at, u64 bytes, bool write);

  memory::Dram& dram_;
  memory::Rmp& rmp_;
  std::deque<Event> log_;
};

}  // namespace softsnp::iommu

#include "machine/iommu/iommu.hpp"

#include <algorithm>

namespace softsnp::iommu {

Result<void, Event> Iommu::check(DeviceId device, SystemPhysical at, u64 bytes, bool write) {
  const auto refuse = [&](SystemPhysical where, memory::Rule rule) {
    const Event event{device, where, write, rule};
    if (log_.size() == log_entries) {
      log_.pop_front();
    }
    log_.push_back(event);
    return Failure{event};
  };
  if (!dram_.contains(at, bytes)) {
    return refuse(at, memory::Rule::none);
  }
  if (!rmp_.enabled()) {
    return {};
  }
  for (SystemPhysical page = at.page(); page < at + bytes; page = page + page_size) {
    memory::AccessRequest request;
    request.asker.kind = memory::AskerKind::device;
    request.kind = write ? memory::AccessKind::write : memory::AccessKind::read;
    request.spa = page;
    if (const memory::Rule rule = rmp_.check(request); rule != memory::Rule::none) {
      return refuse(std::max(page, at), rule);
    }
  }
  return {};
}

Result<void, Event> Iommu::read(DeviceId device, SystemPhysical at, std::span<u8> to) {
  if (auto allowed = check(device, at, to.size(), false); !allowed) {
    return allowed;
  }
  dram_.read(at, memory::KeyId::none, to);
  return {};
}

Result<void, Event> Iommu::write(DeviceId device, SystemPhysical at, std::span<const u8> from) {
  if (auto allowed = check(device, at, from.size(), true); !allowed) {
    return allowed;
  }
  dram_.write(at, memory::KeyId::none, from);
  return {};
}

}  // namespace softsnp::iommu

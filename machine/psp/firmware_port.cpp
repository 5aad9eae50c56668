#include "machine/psp/firmware_port.hpp"

namespace softsnp::psp {

bool FirmwarePort::read(SystemPhysical at, std::span<u8> to) {
  if (!dram_.contains(at, to.size())) {
    return false;
  }
  dram_.read(at, memory::KeyId::none, to);
  return true;
}

bool FirmwarePort::write(SystemPhysical at, std::span<const u8> from) {
  if (!dram_.contains(at, from.size())) {
    return false;
  }
  dram_.write(at, memory::KeyId::none, from);
  return true;
}

bool FirmwarePort::touches_rmp(SystemPhysical at, u64 bytes) const {
  SystemPhysical last = at;
  if (!last.checked_add(bytes - 1)) {
    return true;
  }
  return rmp_.end() > rmp_.base() && at <= rmp_.end() && last >= rmp_.base();
}

PageView FirmwarePort::view(SystemPhysical page) const {
  PageView view;
  view.at = page;
  view.state = memory::name(state(page.page()));
  if (rmp_.covered(page)) {
    view.entry = rmp_.effective_entry(page.page());
    view.size = view.entry.size();
  }
  return view;
}

void FirmwarePort::write_entry(SystemPhysical page, const snp::RmpEntry& entry, Command command) {
  rmp_.write_entry(page, entry, {memory::RmpAgent::firmware, {}, 0, number(command)});
}

void FirmwarePort::write_page(SystemPhysical page, PageSize size, const snp::RmpEntry& entry,
                              Command command) {
  rmp_.write_page(page, size, entry, {memory::RmpAgent::firmware, {}, 0, number(command)});
}

}  // namespace softsnp::psp

// SNP_PAGE_RECLAIM, SNP_PAGE_UNSMASH, SNP_PAGE_SET_STATE. Firmware sheet 1.6, hardware sheet 3.3.
#include <algorithm>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/range_list.hpp"

namespace softsnp::psp {

Status snp_page_reclaim(Firmware& firmware, Request& request) {
  const PageView& page = request.pages[0];
  const PageState state = firmware.port.state(page.at);
  if (state != PageState::default_ && !page.entry.immutable()) {
    return Status::success;
  }
  switch (state) {
    case PageState::firmware:
    case PageState::metadata: {  // -> RECLAIM: nothing but ASSIGNED and the size remain
      snp::RmpEntry entry;
      entry.set_assigned(true);
      entry.set_size(page.size);
      firmware.port.write_page(page.at, page.size, entry, request.command);
      return Status::success;
    }
    case PageState::pre_guest:  // -> GUEST_INVALID
    case PageState::pre_swap:   // -> GUEST_VALID
      firmware.port.write_page(page.at, page.size, mutable_again(page.entry), request.command);
      return Status::success;
    default:
      return request.fail(Status::invalid_page_state, "the page cannot be reclaimed", page);
  }
}

namespace {

constexpr u64 pages_of_2m = large_page_size / page_size;

bool can_unsmash(const memory::Rmp& rmp, SystemPhysical base) {
  const snp::RmpEntry first = rmp.entry(base);
  if (first.asid() == Asid::host || first.vmsa() || !first.immutable() ||
      !first.gpa().is_large_page_aligned()) {
    return false;
  }
  for (u64 at = 0; at < pages_of_2m; ++at) {
    // Equal in all but place: the GPAs follow one another.
    snp::RmpEntry expected = first;
    expected.set_gpa(first.gpa() + at * page_size);
    expected.set_sub_page_count(0);
    snp::RmpEntry entry = rmp.entry(base + at * page_size);
    entry.set_sub_page_count(0);
    if (entry != expected || entry.size() != PageSize::size_4k || !entry.assigned()) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status snp_page_unsmash(Firmware& firmware, Request& request) {
  const SystemPhysical base = FirmwarePort::address(request.as<SnpPageUnsmash>().page_paddr);
  const memory::Rmp& rmp = firmware.port.rmp();
  if (firmware.port.touches_rmp(base, large_page_size) ||
      !firmware.port.in_dram(base, large_page_size)) {
    return request.fail(Status::invalid_address, "the range is not DRAM or touches the RMP");
  }
  if (!rmp.covered(base) || !rmp.covered(base + (large_page_size - page_size)) ||
      !can_unsmash(rmp, base)) {
    return request.fail(Status::invalid_page_state, "the 512 pages do not make one 2M page");
  }
  snp::RmpEntry entry = rmp.entry(base);
  entry.set_sub_page_count(0);
  entry.set_size(PageSize::size_2m);
  firmware.port.write_page(base, PageSize::size_2m, entry, request.command);
  return Status::success;
}

namespace {

// FIRMWARE pages, and 2M ones only whole: half of one cannot change its state.
Status check_fixable(Firmware& firmware, Request& request, const PageRange& range) {
  if (firmware.port.touches_rmp(range.base, std::max<u64>(range.pages, 1) * page_size)) {
    return request.fail(Status::invalid_address, "a range touches the RMP");
  }
  for (u64 at = 0; at < range.pages; ++at) {
    const SystemPhysical page = range.base + at * page_size;
    if (firmware.state.sev.tmr.touches(page, page_size)) {
      return request.fail(Status::invalid_address, "a range touches the TMR");
    }
    request.pages[0] = firmware.port.view(page);
    if (firmware.port.state(page) != PageState::firmware) {
      return request.fail(Status::invalid_page_state, "a page is not FIRMWARE", request.pages[0]);
    }
    if (request.pages[0].size == PageSize::size_2m &&
        !range.contains(page.large_page() + (large_page_size - page_size))) {
      return request.fail(Status::invalid_page_size, "a part of a 2M page", request.pages[0]);
    }
  }
  return Status::success;
}

}  // namespace

Status snp_page_set_state(Firmware& firmware, Request& request) {
  const auto command = request.as<SnpPageSetState>();
  const auto list =
      read_range_list(firmware.port, FirmwarePort::address(command.list_paddr), large_page_size);
  if (!list) {
    return request.fail(Status::invalid_param, "the list of ranges is malformed");
  }
  for (const PageRange& range : *list) {
    const Status status = check_fixable(firmware, request, range);
    if (status != Status::success) {
      return status;
    }
  }
  for (const PageRange& range : *list) {
    for (u64 at = 0; at < range.pages; ++at) {
      firmware.port.write_entry(range.base + at * page_size, hv_fixed_entry(), request.command);
    }
  }
  return Status::success;
}

}  // namespace softsnp::psp

// SNP_PAGE_MOVE. Firmware sheet 1.6, hardware sheet 3.3.
#include <array>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/page_owner.hpp"

namespace softsnp::psp {

namespace {

bool is_metadata(const Firmware& firmware, const PageView& page) {
  return firmware.port.state(page.at) == PageState::metadata;
}

// As seen under key, at the new place too: ciphertext never moves.
void copy(Firmware& firmware, const PageView& from, const PageView& to, memory::KeyId key) {
  std::array<u8, page_size> page;
  for (u64 offset = 0; offset < bytes(from.size); offset += page_size) {
    firmware.port.dram().read(from.at + offset, key, page);
    firmware.port.dram().write(to.at + offset, key, page);
  }
}

Status move_metadata(Firmware& firmware, Request& request) {
  const auto& [from, to, unused] = request.pages;
  const Status status = check_metadata_page(request, from);
  if (status == Status::success) {
    copy(firmware, from, to, memory::KeyId::none);
    firmware.port.write_entry(to.at, from.entry, request.command);
    firmware.port.write_entry(from.at, firmware_entry(), request.command);
  }
  return status;
}

Status check_guest_pages(Request& request) {
  Status status = check_active(request);
  for (const PageView* page : {&request.pages[0], &request.pages[1]}) {
    if (status == Status::success) {
      status = check_guest_page(request, *page);
    }
  }
  return status;
}

// What stays behind is no save area any more, or VMRUN would still take it.
snp::RmpEntry left_behind(const snp::RmpEntry& entry) {
  snp::RmpEntry left = mutable_again(entry);
  left.set_validated(false);
  left.set_vmsa(false);
  return left;
}

}  // namespace

// Guest memory to guest memory, metadata to the firmware's; one page cannot be both.
Status move_pages(Firmware& firmware, Request& request) {
  const auto& [from, to, unused] = request.pages;
  const bool target_is_guests = firmware.port.state(to.at) == PageState::pre_guest;
  if (is_metadata(firmware, from) == target_is_guests || from.at == to.at) {
    return request.fail(Status::invalid_page_state, "the target's state does not fit the source's",
                        to);
  }
  return Status::success;
}

Status snp_page_move(Firmware& firmware, Request& request) {
  const auto& [from, to, unused] = request.pages;
  const bool metadata = is_metadata(firmware, from);
  if (!metadata) {
    const Status status = check_guest_pages(request);
    if (status != Status::success) {
      return status;
    }
  }
  const Status status = check_swap_policy(request);
  if (status != Status::success) {
    return status;
  }
  if (metadata) {
    return move_metadata(firmware, request);
  }
  copy(firmware, from, to, memory::key_of(request.context->asid));
  firmware.port.write_page(to.at, to.size, mutable_again(from.entry), request.command);
  firmware.port.write_page(from.at, from.size, left_behind(from.entry), request.command);
  return Status::success;
}

}  // namespace softsnp::psp

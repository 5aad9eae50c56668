// SNP_PAGE_MD_INIT, SNP_PAGE_SWAP_OUT, SNP_PAGE_SWAP_IN. Firmware sheet 1.6, hardware sheet 3.3.
#include <array>
#include <vector>

#include "arch/psp/guest_buffers.hpp"
#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/handlers.hpp"
#include "machine/psp/page_owner.hpp"

namespace softsnp::psp {

namespace {

constexpr u64 last_iv = ~u64{0};

std::array<u8, 12> iv_of(u64 count) {
  std::array<u8, 12> iv{};
  store_le(iv.data(), count);
  return iv;
}

bool is_metadata(const SnpPageSwap& swap) {
  return swap_type(swap) == SwapType::metadata;
}

SystemPhysical entry_place(const SnpPageSwap& swap) {
  return FirmwarePort::address(swap.mdata_paddr);
}

// The entry is in the context or in a metadata page, which pages[2] then describes.
MdataEntry read_entry(Firmware& firmware, const Request& request, const SnpPageSwap& swap) {
  MdataEntry entry = request.context->root_mdata;
  if (!swap.root()) {
    firmware.port.read_value(entry_place(swap), entry);
  }
  return entry;
}

void write_entry(Firmware& firmware, const Request& request, const SnpPageSwap& swap,
                 const MdataEntry& entry) {
  if (swap.root()) {
    request.context->root_mdata = entry;
  } else {
    firmware.port.write_value(entry_place(swap), entry);
  }
}

// Ends the page-state step.
Status check_entry_page(Firmware& firmware, Request& request, const SnpPageSwap& swap) {
  if (swap.root()) {
    return Status::success;
  }
  PageView& page = request.pages[2];
  page = firmware.port.view(entry_place(swap).page());
  return firmware.port.state(page.at) == PageState::metadata
             ? Status::success
             : request.fail(Status::invalid_page_state, "the entry is not in a METADATA page",
                            page);
}

// The last steps of the common checks: ASID, owners, policy. guest_page: pages[0] or its like.
Status check_owners(Request& request, const SnpPageSwap& swap, const PageView& guest_page,
                    bool owned_metadata) {
  Status status = Status::success;
  if (!is_metadata(swap)) {
    status = check_active(request);
    if (status == Status::success) {
      status = check_guest_page(request, guest_page);
    }
  } else if (owned_metadata) {
    status = check_metadata_page(request, guest_page);
  }
  if (status == Status::success && !swap.root()) {
    status = check_metadata_page(request, request.pages[2]);
  }
  return status == Status::success ? check_swap_policy(request) : status;
}

// Metadata pages are not encrypted in memory.
memory::KeyId key_of_page(const Request& request, const SnpPageSwap& swap) {
  return is_metadata(swap) ? memory::KeyId::none : memory::key_of(request.context->asid);
}

MdataEntry describe(const SnpPageSwap& swap, const PageView& page) {
  MdataEntry entry{};
  entry.software_data = swap.software_data;
  entry.page = MdataEntry::valid | (page.size == PageSize::size_2m ? MdataEntry::size_2m : 0);
  if (is_metadata(swap)) {
    entry.page |= MdataEntry::metadata;
    return entry;
  }
  entry.page |= (page.entry.validated() ? MdataEntry::page_validated : 0) |
                (page.entry.vmsa() ? MdataEntry::vmsa : 0) | page.entry.gpa().value();
  entry.vmpl_permissions = page.entry.high;
  return entry;
}

// What a page swapped out leaves: a page to swap another one into.
snp::RmpEntry emptied(const snp::RmpEntry& entry) {
  snp::RmpEntry left = entry;
  left.set_validated(false);
  left.set_vmsa(false);
  return left;
}

}  // namespace

Status snp_page_md_init(Firmware& firmware, Request& request) {
  const SystemPhysical page = request.pages[0].at;
  snp::RmpEntry entry = firmware_entry();
  entry.set_gpa(memory::metadata_gpa(request.context_page));
  firmware.port.dram().zero_frame(page, memory::KeyId::none);
  firmware.port.write_entry(page, entry, request.command);
  return Status::success;
}

Status swap_parameters(const Request& request) {
  const auto swap = request.as<SnpPageSwap>();
  if (swap_type(swap) > SwapType::vmsa) {
    return Status::invalid_param;
  }
  if (swap.root()) {
    return Status::success;
  }
  const u64 bytes = (swap.flags & SnpPageSwap::size_2m) != 0 ? large_page_size : page_size;
  const auto inside = [&](u64 paddr) {
    return entry_place(swap).value() - FirmwarePort::address(paddr).value() < bytes;
  };
  const bool has_source = (swap.flags & SnpPageSwap::in_place) == 0;
  const bool overlaps = inside(swap.dst_paddr) || (has_source && inside(swap.src_paddr));
  return overlaps || !is_aligned(swap.mdata_paddr, sizeof(MdataEntry)) ? Status::invalid_param
                                                                       : Status::success;
}

Status swap_out_pages(Firmware& firmware, Request& request) {
  const auto swap = request.as<SnpPageSwap>();
  const PageView& from = request.pages[0];
  const bool metadata = firmware.port.state(from.at) == PageState::metadata;
  const bool vmsa = !metadata && from.entry.vmsa();
  if (metadata != is_metadata(swap) || vmsa != (swap_type(swap) == SwapType::vmsa)) {
    return request.fail(Status::invalid_page_state, "the page is not of the type named", from);
  }
  return check_entry_page(firmware, request, swap);
}

Status snp_page_swap_out(Firmware& firmware, Request& request) {
  const auto swap = request.as<SnpPageSwap>();
  const PageView& from = request.pages[0];
  GuestContext& context = *request.context;
  const Status status = check_owners(request, swap, from, true);
  if (status != Status::success) {
    return status;
  }
  if ((read_entry(firmware, request, swap).page & MdataEntry::valid) != 0) {
    return request.fail(Status::invalid_mdata_entry, "the entry belongs to another page");
  }
  if (context.oek_iv_count == last_iv) {
    return request.fail(Status::aead_oflow, "the IVs of the OEK are used up");
  }
  MdataEntry entry = describe(swap, from);
  entry.iv = context.oek_iv_count++;
  std::vector<u8> page(bytes(from.size));
  firmware.port.dram().read(from.at, key_of_page(request, swap), page);
  store_le(entry.auth_tag, gcm_seal({context.oek, iv_of(entry.iv), {}}, page));
  firmware.port.write(request.pages[1].at, page);
  write_entry(firmware, request, swap, entry);
  if (is_metadata(swap)) {
    firmware.port.write_entry(from.at, firmware_entry(), request.command);
  } else {
    firmware.port.write_page(from.at, from.size, emptied(from.entry), request.command);
  }
  refresh_context_image(firmware, request.context_page, sizeof(MdataEntry));
  return Status::success;
}

Status swap_in_pages(Firmware& firmware, Request& request) {
  const auto swap = request.as<SnpPageSwap>();
  const PageView& to = request.pages[0];
  const bool target_is_guests = firmware.port.state(to.at) == PageState::pre_guest;
  if (is_metadata(swap) == target_is_guests) {
    return request.fail(Status::invalid_page_state, "the target's state does not fit the type", to);
  }
  return check_entry_page(firmware, request, swap);
}

namespace {

Status check_entry(Request& request, const SnpPageSwap& swap, const MdataEntry& entry) {
  const bool vmsa = swap_type(swap) == SwapType::vmsa;
  if ((entry.page & MdataEntry::valid) == 0 ||
      ((entry.page & MdataEntry::metadata) != 0) != is_metadata(swap) ||
      ((entry.page & MdataEntry::vmsa) != 0) != vmsa) {
    return request.fail(Status::invalid_mdata_entry, "no page of this type belongs to the entry");
  }
  if (((entry.page & MdataEntry::size_2m) != 0) != ((swap.flags & SnpPageSwap::size_2m) != 0)) {
    return request.fail(Status::invalid_page_size, "the page was swapped out in another size");
  }
  return Status::success;
}

// As it was swapped out; IMMUTABLE until the host reclaims it.
snp::RmpEntry restored(const snp::RmpEntry& now, const MdataEntry& entry) {
  snp::RmpEntry made = now;
  made.set_gpa(GuestPhysical(entry.page & MdataEntry::gpa_mask));
  made.set_validated((entry.page & MdataEntry::page_validated) != 0);
  made.set_vmsa((entry.page & MdataEntry::vmsa) != 0);
  made.high = entry.vmpl_permissions;
  return made;
}

}  // namespace

Status snp_page_swap_in(Firmware& firmware, Request& request) {
  const auto swap = request.as<SnpPageSwap>();
  const PageView& to = request.pages[0];
  Status status = check_owners(request, swap, to, false);
  MdataEntry entry{};
  if (status == Status::success) {
    entry = read_entry(firmware, request, swap);
    status = check_entry(request, swap, entry);
  }
  if (status != Status::success) {
    return status;
  }
  const bool in_place = (swap.flags & SnpPageSwap::in_place) != 0;
  const SystemPhysical from = in_place ? to.at : FirmwarePort::address(swap.src_paddr);
  std::vector<u8> page(bytes(to.size));
  if (!firmware.port.read(from, page)) {
    return request.fail(Status::invalid_address, "no memory at the source");
  }
  if (!gcm_open({request.context->oek, iv_of(entry.iv), {}}, page,
                load_le<GcmTag>(entry.auth_tag))) {
    return request.fail(Status::bad_measurement, "this is not the page that was swapped out");
  }
  firmware.port.dram().write(to.at, key_of_page(request, swap), page);
  if (is_metadata(swap)) {
    snp::RmpEntry owned = firmware_entry();
    owned.set_gpa(memory::metadata_gpa(request.context_page));
    firmware.port.write_entry(to.at, owned, request.command);
  } else {
    firmware.port.write_page(to.at, to.size, restored(to.entry, entry), request.command);
  }
  // Each entry brings one page back once.
  entry.page &= ~MdataEntry::valid;
  write_entry(firmware, request, swap, entry);
  refresh_context_image(firmware, request.context_page, sizeof(MdataEntry));
  return Status::success;
}

}  // namespace softsnp::psp

#include "hypervisor/host/sev_mailbox.hpp"

namespace softsnp::host {
namespace {

// Firmware sheet 1.1: the commands whose buffer is written back.
bool writes_its_buffer(psp::Command id) {
  switch (id) {
    case psp::Command::platform_status:
    case psp::Command::pek_csr:
    case psp::Command::pdh_cert_export:
    case psp::Command::get_id:
    case psp::Command::guest_status:
    case psp::Command::launch_start:
    case psp::Command::launch_measure:
    case psp::Command::attestation:
    case psp::Command::send_start:
    case psp::Command::send_update_data:
    case psp::Command::send_update_vmsa:
    case psp::Command::receive_start:
    case psp::Command::swap_out:
      return true;
    default:
      return false;
  }
}

}  // namespace

psp::Status SevMailbox::command(psp::Command id, std::span<u8> buffer) {
  return platform_.snp_enabled() && writes_its_buffer(id) ? command_in_firmware_page(id, buffer)
                                                          : psp_.command(id, buffer);
}

psp::Status SevMailbox::command_in_firmware_page(psp::Command id, std::span<u8> buffer) {
  const auto page = memory_.allocate(PageSize::size_4k);
  if (!page) {
    return psp::Status::resource_limit;
  }
  memory_.store_own(*page, buffer);
  if (!rmp_.make_firmware(*page)) {
    memory_.leak(*page, PageSize::size_4k);
    return psp::Status::invalid_page_state;
  }
  const auto status = static_cast<psp::Status>(memory_.port().psp_command(psp::number(id), *page));
  // The firmware lets go of the page itself; if it did not come to that, it has to be asked.
  const bool taken = rmp_.read(*page).immutable != 0
                         ? rmp_.reclaim(*page, PageSize::size_4k).ok()
                         : rmp_.make_hypervisor(*page, PageSize::size_4k).ok();
  if (!taken) {
    return psp::Status::invalid_page_state;
  }
  memory_.load_own(*page, buffer);
  memory_.release(*page, PageSize::size_4k);
  return status;
}

}  // namespace softsnp::host

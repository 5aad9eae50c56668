#include "image/linux_params.hpp"

#include <algorithm>
#include <cstring>

#include "image/efi_memory_map.hpp"
#include "image/efi_tables.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {
namespace {

// Ends where the jump at 200h goes, which depends on the protocol version.
usize declared_size(const boot::SetupHeader& header) {
  const usize end = boot::setup_header_jump_end + (header.jump >> 8);
  return std::min(end - boot::setup_header_offset, sizeof header);
}

}  // namespace

boot::SetupHeader synthetic_header() {
  boot::SetupHeader header{};
  constexpr usize distance =
      boot::setup_header_offset + sizeof header - boot::setup_header_jump_end;
  header.jump = static_cast<u16>(0xEB | distance << 8);
  header.boot_flag = boot::boot_flag_magic;
  header.header = boot::setup_header_magic;
  header.version = 0x020F;
  header.loadflags = boot::loadflags_loaded_high;
  return header;
}

boot::BootParams linux_params(const LaunchPlan& plan, const boot::SetupHeader& header) {
  boot::BootParams params{};
  std::memcpy(&params.header, &header, declared_size(header));
  params.acpi_rsdp_addr = plan.layout.rsdp.value();
  params.header.type_of_loader = boot::loader_undefined;
  params.header.cmd_line_ptr = static_cast<u32>(plan.layout.command_line.value());
  params.header.ramdisk_image = static_cast<u32>(plan.layout.initrd.value());
  params.header.ramdisk_size = static_cast<u32>(plan.layout.initrd_size);
  params.header.setup_data = plan.mode == Mode::snp ? low::setup_data.value() : 0;
  if (plan.acceptance == Acceptance::lazy) {
    params.efi_info = efi_info(efi_memory_map(plan).size());
    params.secure_boot = boot::secure_boot_disabled;
  }
  params.e820_entries = static_cast<u8>(plan.e820.size());
  std::copy(plan.e820.begin(), plan.e820.end(), std::begin(params.e820_table));
  return params;
}

}  // namespace softsnp::image

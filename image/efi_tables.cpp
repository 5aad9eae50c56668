#include "image/efi_tables.hpp"

#include <cstring>
#include <string_view>

#include "base/bytes.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {
namespace {

namespace efi = boot::efi;

// Places in the page of runtime data.
constexpr u64 services_at = 0x100, configuration_at = 0x200, properties_at = 0x300;
constexpr u64 vendor_at = 0x380;

u64 data_address(u64 offset) {
  return (low::efi_runtime_data + offset).value();
}

// UEFI 2.10 4.2.1: the CRC of IEEE 802.3.
u32 crc32(const u8* bytes, usize size) {
  u32 crc = ~u32{0};
  for (usize i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
    }
  }
  return ~crc;
}

template <class Table>
Table seal(Table table) {
  table.header.signature = Table::signature_value;
  table.header.revision = efi::revision_2_10;
  table.header.header_size = sizeof table;
  u8 bytes[sizeof table];
  std::memcpy(bytes, &table, sizeof table);
  table.header.crc32 = crc32(bytes, sizeof bytes);
  return table;
}

std::vector<efi::ConfigurationEntry> configuration(const LaunchPlan& plan) {
  std::vector<efi::ConfigurationEntry> entries{
      {efi::acpi_20_guid, plan.layout.rsdp.value()},
      {efi::cc_blob_guid, low::cc_blob.value()},
      {efi::runtime_properties_guid, data_address(properties_at)}};
  if (!plan.unaccepted.empty()) {
    entries.push_back({efi::unaccepted_memory_guid, low::unaccepted_table.value()});
  }
  return entries;
}

efi::SystemTable system_table(usize entries) {
  efi::SystemTable table{};
  table.firmware_vendor = data_address(vendor_at);
  table.firmware_revision = 1;
  table.runtime_services = data_address(services_at);
  table.configuration_entries = entries;
  table.configuration_table = data_address(configuration_at);
  return seal(table);
}

efi::RuntimeServices runtime_services() {
  efi::RuntimeServices table{};
  for (u64& service : table.service) {
    service = low::efi_runtime_code.value();
  }
  return seal(table);
}

}  // namespace

std::vector<u8> efi_runtime_data(const LaunchPlan& plan) {
  std::vector<u8> page(page_size);
  const auto put = [&](u64 offset, const auto& value) {
    std::memcpy(&page[offset], &value, sizeof value);
  };
  const auto entries = configuration(plan);
  put(0, system_table(entries.size()));
  put(services_at, runtime_services());
  for (usize i = 0; i < entries.size(); ++i) {
    put(configuration_at + i * sizeof entries[i], entries[i]);
  }
  put(properties_at, efi::RuntimeProperties{1, sizeof(efi::RuntimeProperties), 0});
  constexpr std::string_view vendor = "softsnp";
  for (usize i = 0; i < vendor.size(); ++i) {
    page[vendor_at + 2 * i] = static_cast<u8>(vendor[i]);
  }
  return page;
}

// mov rax, EFI_UNSUPPORTED; ret
std::vector<u8> efi_runtime_code() {
  std::vector<u8> code{0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0xC3};
  std::memcpy(&code[2], &efi::status_unsupported, sizeof efi::status_unsupported);
  return code;
}

boot::EfiNode efi_setup_node() {
  boot::EfiNode node{};
  node.header = {0, boot::SetupDataType::efi, sizeof node - sizeof node.header};
  node.firmware_vendor = data_address(vendor_at);
  node.configuration_table = data_address(configuration_at);
  return node;
}

boot::EfiInfo efi_info(usize descriptors) {
  boot::EfiInfo info{};
  info.loader_signature = boot::EfiInfo::signature_64;
  info.system_table = static_cast<u32>(low::efi_runtime_data.value());
  info.descriptor_size = sizeof(efi::MemoryDescriptor);
  info.descriptor_version = efi::MemoryDescriptor::version;
  info.memory_map = static_cast<u32>(low::efi_tables.value());
  info.memory_map_size = static_cast<u32>(descriptors * sizeof(efi::MemoryDescriptor));
  return info;
}

}  // namespace softsnp::image

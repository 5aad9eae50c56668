#include "image/acpi.hpp"

#include <cstring>
#include <string_view>

#include "arch/boot/acpi.hpp"
#include "arch/boot/platform.hpp"
#include "base/bits.hpp"
#include "image/aml.hpp"

namespace softsnp::image {
namespace {

namespace acpi = boot::acpi;
namespace platform = boot::platform;

using Table = std::vector<u8>;

template <class T>
void append(Table& table, const T& value) {
  const auto* bytes = reinterpret_cast<const u8*>(&value);
  table.insert(table.end(), bytes, bytes + sizeof value);
}

template <usize N>
void copy_text(u8 (&to)[N], std::string_view text) {
  std::memset(to, ' ', N);
  std::memcpy(to, text.data(), std::min(N, text.size()));
}

u8 checksum(const u8* bytes, usize count) {
  u8 sum = 0;
  for (usize i = 0; i < count; ++i) {
    sum = static_cast<u8>(sum + bytes[i]);
  }
  return static_cast<u8>(0 - sum);
}

acpi::TableHeader header(std::string_view signature, u8 revision) {
  acpi::TableHeader result{};
  copy_text(result.signature, signature);
  result.revision = revision;
  copy_text(result.oem_id, "SFTSNP");
  copy_text(result.oem_table_id, "SOFTSNP");
  result.oem_revision = 1;
  copy_text(result.creator_id, "SSNP");
  result.creator_revision = 1;
  return result;
}

// Length and checksum are known last.
Table seal(Table table) {
  const u32 length = static_cast<u32>(table.size());
  std::memcpy(&table[offsetof(acpi::TableHeader, length)], &length, sizeof length);
  table[offsetof(acpi::TableHeader, checksum)] = 0;
  table[offsetof(acpi::TableHeader, checksum)] = checksum(table.data(), table.size());
  return table;
}

Table dsdt() {
  using namespace aml;
  const Term s5 = integer(platform::sleep_type_s5);
  const Term com1 =
      device("COM1", {name("_HID", eisa_id("PNP0501")), name("_UID", integer(1)),
                      name("_STA", integer(0xF)),
                      name("_CRS", resources({io_ports(platform::com1_port, platform::com1_ports),
                                              aml::irq(platform::com1_irq)}))});
  const Term rtc =
      device("RTC", {name("_HID", eisa_id("PNP0B00")),
                     name("_CRS", resources({io_ports(platform::rtc_port, platform::rtc_ports),
                                             aml::irq(platform::rtc_irq)}))});
  Table table;
  append(table, header("DSDT", 2));
  const Term body = concat({name("_S5", package({s5, integer(0), integer(0), integer(0)})),
                            scope(root_name_string("_SB"), {com1, rtc})});
  table.insert(table.end(), body.begin(), body.end());
  return seal(std::move(table));
}

acpi::GenericAddress byte_port(u16 port) {
  return {acpi::Space::system_io, 8, 0, 1, port};
}

Table fadt(GuestPhysical dsdt_address) {
  acpi::Fadt table{};
  table.header = header("FACP", 5);
  table.dsdt = static_cast<u32>(dsdt_address.value());
  table.x_dsdt = dsdt_address.value();
  table.iapc_boot_arch = acpi::boot_arch_vga_not_present;
  table.flags = acpi::fadt_reset_register_supported | acpi::fadt_hardware_reduced;
  table.reset_register = byte_port(platform::reset_port);
  table.reset_value = platform::reset_value;
  table.sleep_control = byte_port(platform::sleep_control_port);
  table.sleep_status = byte_port(platform::sleep_status_port);
  Table bytes;
  append(bytes, table);
  return seal(std::move(bytes));
}

Table madt(unsigned vcpu_count) {
  using acpi::MadtType;
  Table bytes;
  append(bytes, acpi::Madt{header("APIC", 4), platform::local_apic_address, 0});
  for (unsigned i = 0; i < vcpu_count; ++i) {
    append(bytes, acpi::MadtLocalApic{MadtType::local_apic, sizeof(acpi::MadtLocalApic),
                                      static_cast<u8>(i), static_cast<u8>(i), 1});
  }
  append(bytes, acpi::MadtIoApic{MadtType::ioapic, sizeof(acpi::MadtIoApic), platform::ioapic_id, 0,
                                 platform::ioapic_address, platform::ioapic_gsi_base});
  append(bytes, acpi::MadtLocalApicNmi{MadtType::local_apic_nmi, sizeof(acpi::MadtLocalApicNmi),
                                       0xFF, 0, 1});
  return seal(std::move(bytes));
}

Table xsdt(GuestPhysical fadt_address, GuestPhysical madt_address) {
  Table bytes;
  append(bytes, header("XSDT", 1));
  append(bytes, fadt_address.value());
  append(bytes, madt_address.value());
  return seal(std::move(bytes));
}

Table rsdp(GuestPhysical xsdt_address) {
  acpi::Rsdp table{};
  copy_text(table.signature, "RSD PTR ");
  copy_text(table.oem_id, "SFTSNP");
  table.revision = 2;
  table.length = sizeof table;
  table.xsdt_address = xsdt_address.value();
  Table bytes;
  append(bytes, table);
  bytes[offsetof(acpi::Rsdp, checksum)] = checksum(bytes.data(), acpi::rsdp_v1_size);
  bytes[offsetof(acpi::Rsdp, extended_checksum)] = checksum(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace

std::vector<u8> acpi_tables(GuestPhysical base, unsigned vcpu_count) {
  constexpr u64 alignment = 64;
  std::vector<u8> area(align_up(sizeof(acpi::Rsdp), alignment));
  const auto place = [&](const Table& table) {
    const GuestPhysical at = base + area.size();
    area.insert(area.end(), table.begin(), table.end());
    area.resize(align_up(area.size(), alignment));
    return at;
  };
  const GuestPhysical dsdt_at = place(dsdt());
  const GuestPhysical fadt_at = place(fadt(dsdt_at));
  const GuestPhysical madt_at = place(madt(vcpu_count));
  const Table root = rsdp(place(xsdt(fadt_at, madt_at)));
  std::copy(root.begin(), root.end(), area.begin());
  return area;
}

}  // namespace softsnp::image

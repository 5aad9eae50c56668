#include "arch/boot/acpi.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

#include "image/acpi.hpp"
#include "image/aml.hpp"

namespace softsnp::image {
namespace {

constexpr GuestPhysical base{0xE0000};

template <class T>
T at(const std::vector<u8>& area, u64 address) {
  T value;
  const u64 offset = address - base.value();
  EXPECT_LE(offset + sizeof value, area.size());
  std::memcpy(&value, &area[offset], sizeof value);
  return value;
}

u8 sum(const std::vector<u8>& area, u64 address, usize length) {
  u8 total = 0;
  for (usize i = 0; i < length; ++i) {
    total = static_cast<u8>(total + area[address - base.value() + i]);
  }
  return total;
}

// Follows the pointers as an operating system does: RSDP, XSDT, FADT, DSDT.
std::map<std::string, u64> tables(const std::vector<u8>& area) {
  const auto rsdp = at<boot::acpi::Rsdp>(area, base.value());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(rsdp.signature), 8), "RSD PTR ");
  EXPECT_EQ(rsdp.revision, 2);
  EXPECT_EQ(sum(area, base.value(), 20), 0);
  EXPECT_EQ(sum(area, base.value(), 36), 0);
  const auto xsdt = at<boot::acpi::TableHeader>(area, rsdp.xsdt_address);
  std::map<std::string, u64> result{{"XSDT", rsdp.xsdt_address}};
  for (u32 offset = sizeof xsdt; offset < xsdt.length; offset += 8) {
    const u64 address = at<u64>(area, rsdp.xsdt_address + offset);
    const auto header = at<boot::acpi::TableHeader>(area, address);
    result[std::string(reinterpret_cast<const char*>(header.signature), 4)] = address;
  }
  result["DSDT"] = at<boot::acpi::Fadt>(area, result.at("FACP")).x_dsdt;
  return result;
}

TEST(Acpi, EveryTableSumsToZero) {
  const auto area = acpi_tables(base, 1);
  const auto found = tables(area);
  EXPECT_EQ(found.size(), 4u);
  for (const auto& [name, address] : found) {
    const auto header = at<boot::acpi::TableHeader>(area, address);
    EXPECT_EQ(sum(area, address, header.length), 0) << name;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(header.signature), 4), name);
  }
}

TEST(Acpi, FadtIsHardwareReducedWithPortRegisters) {
  const auto area = acpi_tables(base, 1);
  const auto fadt = at<boot::acpi::Fadt>(area, tables(area).at("FACP"));
  EXPECT_EQ(u32{fadt.flags}, (1u << 20) | (1u << 10));
  EXPECT_EQ(fadt.iapc_boot_arch & 0x20, 0);  // there is a CMOS RTC
  EXPECT_EQ(fadt.iapc_boot_arch & 0x04, 4);  // there is no VGA
  for (const auto& [reg, port] : {std::pair{fadt.sleep_control, 0x600},
                                  {fadt.sleep_status, 0x601},
                                  {fadt.reset_register, 0x602}}) {
    EXPECT_EQ(reg.space, boot::acpi::Space::system_io);
    EXPECT_EQ(reg.bit_width, 8);
    const u64 address = reg.address;  // a packed field
    EXPECT_EQ(address, static_cast<u64>(port));
  }
}

TEST(Acpi, MadtNamesEachProcessorOnce) {
  for (const unsigned vcpus : {1u, 4u, maximum_vcpus}) {
    const auto area = acpi_tables(base, vcpus);
    EXPECT_LE(area.size(), 0x10000u);
    const u64 address = tables(area).at("APIC");
    const auto madt = at<boot::acpi::Madt>(area, address);
    EXPECT_EQ(u32{madt.flags}, 0u);
    EXPECT_EQ(u32{madt.local_apic_address}, 0xFEE00000u);
    unsigned processors = 0, others = 0;
    for (u32 offset = sizeof madt; offset < madt.header.length;) {
      const u8 type = at<u8>(area, address + offset), length = at<u8>(area, address + offset + 1);
      ASSERT_GE(length, 2);
      if (type == 0) {
        EXPECT_EQ(at<u8>(area, address + offset + 3), processors);
        ++processors;
      } else {
        ++others;
      }
      offset += length;
    }
    EXPECT_EQ(processors, vcpus);
    EXPECT_EQ(others, 2u);
  }
}

// What iasl 20200925 makes of the same source (ACPI 6.5 20.2):
//   Name (_S5, Package (4) {5, Zero, Zero, Zero})
TEST(Aml, MatchesTheSpecificationsEncoding) {
  using namespace aml;
  EXPECT_EQ(name("_S5", package({integer(5), integer(0), integer(0), integer(0)})),
            (Term{0x08, '_', 'S', '5', '_', 0x12, 0x07, 0x04, 0x0A, 0x05, 0, 0, 0}));
  EXPECT_EQ(eisa_id("PNP0501"), (Term{0x0C, 0x41, 0xD0, 0x05, 0x01}));
  EXPECT_EQ(eisa_id("PNP0B00"), (Term{0x0C, 0x41, 0xD0, 0x0B, 0x00}));
  EXPECT_EQ(resources({io_ports(0x3F8, 8), irq(4)}),
            (Term{0x11, 0x10, 0x0A, 0x0D, 0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x00, 0x08, 0x22,
                  0x10, 0x00, 0x79, 0x00}));
  EXPECT_EQ(integer(1), (Term{0x01}));
  EXPECT_EQ(integer(0x100), (Term{0x0B, 0x00, 0x01}));
  EXPECT_EQ(integer(u64{1} << 32), (Term{0x0E, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Aml, LongBodiesTakeLongerLengths) {
  const std::vector<u8> small(100), large(5000);
  const auto a = aml::buffer(small);  // 2 length bytes: 100 + 2 + 2
  EXPECT_EQ(a[1], 0x40 | (104 & 0xF));
  EXPECT_EQ(a[2], 104 >> 4);
  EXPECT_EQ(a.size(), 105u);
  const auto b = aml::buffer(large);  // 3 length bytes: 5000 + 3 + 3
  EXPECT_EQ(b[1], 0x80 | (5006 & 0xF));
  EXPECT_EQ(b[2], (5006 >> 4) & 0xFF);
  EXPECT_EQ(b[3], 5006 >> 12);
}

}  // namespace
}  // namespace softsnp::image

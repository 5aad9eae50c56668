// DMA meets the RMP: hypervisor-owned pages alone, and everything refused is in the log.
#include "machine/iommu/iommu.hpp"

#include <array>

#include "tests/machine/memory/rmp_fixture.hpp"

namespace softsnp::memory {
namespace {

using iommu::DeviceId;
constexpr DeviceId device{0x0408};

class IommuTest : public RmpTest {
 protected:
  iommu::Iommu iommu{dram, rmp};
  std::array<u8, 64> bytes{};
};

TEST_F(IommuTest, MovesBytesOfHypervisorPages) {
  const std::array<u8, 4> data{1, 2, 3, 4};
  ASSERT_TRUE(iommu.write(device, page_a + 0x10, data).ok());
  std::array<u8, 4> back{};
  ASSERT_TRUE(iommu.read(device, page_a + 0x10, back).ok());
  EXPECT_EQ(back, data);
  EXPECT_TRUE(iommu.log().empty());
}

TEST_F(IommuTest, GuestPagesAreClosedInBothDirections) {
  make_valid_page();
  EXPECT_FALSE(iommu.read(device, page_a, bytes).ok());
  const auto written = iommu.write(device, page_a + 8, bytes);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().rule, Rule::hypervisor_owned);
  ASSERT_EQ(iommu.log().size(), 2u);
  EXPECT_FALSE(iommu.log()[0].write);
  EXPECT_TRUE(iommu.log()[1].write);
  EXPECT_EQ(iommu.log()[1].address, page_a + 8);
  EXPECT_EQ(iommu.log()[1].device, device);
}

TEST_F(IommuTest, ARefusedAccessMovesNothing) {
  ASSERT_EQ(update(page_a + page_size, assign(guest_asid, guest_gpa)), snp::RmpResult::success);
  std::array<u8, 64> ones;
  ones.fill(0xFF);
  const SystemPhysical across = page_a + (page_size - 32);
  EXPECT_FALSE(iommu.write(device, across, ones).ok());
  std::array<u8, 32> before{};
  ASSERT_TRUE(iommu.read(device, across, before).ok());
  EXPECT_EQ(before, (std::array<u8, 32>{}));
  EXPECT_EQ(iommu.log().back().address, page_a + page_size);
}

TEST_F(IommuTest, OutsideDramIsAnEventWithoutARule) {
  const auto read = iommu.read(device, SystemPhysical(~u64{0xFFF}), bytes);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().rule, Rule::none);
  EXPECT_EQ(iommu.log().size(), 1u);
}

TEST_F(IommuTest, WithoutSnpNothingIsChecked) {
  make_valid_page();
  rmp.set_enabled(false);
  EXPECT_TRUE(iommu.read(device, page_a, bytes).ok());
}

TEST_F(IommuTest, TheLogKeepsTheNewest) {
  make_valid_page();
  for (u64 i = 0; i < iommu::Iommu::log_entries + 3; ++i) {
    EXPECT_FALSE(iommu.read(device, page_a + i, std::span(bytes).first(1)).ok());
  }
  EXPECT_EQ(iommu.log().size(), iommu::Iommu::log_entries);
  EXPECT_EQ(iommu.log().front().address, page_a + 3);
}

}  // namespace
}  // namespace softsnp::memory

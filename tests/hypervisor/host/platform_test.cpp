#include "hypervisor/host/platform.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "arch/x86/registers.hpp"
#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/host/rmp_area.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::host {
namespace {

namespace msr = x86::msr;
constexpr u64 mib = u64{1} << 20;

TEST(RmpArea, IsAlignedForTheFirmwareAndCoversDram) {
  for (const u64 dram : {64 * mib, 1024 * mib, 1000 * mib + page_size, 65536 * mib}) {
    const RmpArea area = rmp_area(dram);
    EXPECT_TRUE(is_aligned(area.base.value(), mib));
    EXPECT_TRUE(is_aligned(area.size, mib));
    EXPECT_LE(area.base.value() + area.size, dram);
    EXPECT_GE((area.size - snp::rmp_bookkeeping_bytes) / 16 * page_size, dram);
  }
}

TEST(Platform, DoesWhatLinuxDoesBeforeTheFirstSnpGuest) {
  test::FakePort port(64 * mib);
  HostKernel host(port);
  ASSERT_TRUE(host.platform.enable_snp().ok());
  const RmpArea area = rmp_area(64 * mib);
  for (unsigned core = 0; core < 2; ++core) {
    EXPECT_EQ((port.msrs[{core, msr::rmp_base}]), area.base.value());
    EXPECT_EQ((port.msrs[{core, msr::rmp_end}]), area.base.value() + area.size - 1);
    EXPECT_EQ((port.msrs[{core, msr::hwcr}]) & 1, 1u);
    const u64 bits = msr::syscfg_bits::mtrr_fix_dram_mod_en |
                     msr::syscfg_bits::mem_encryption_mod_en |
                     msr::syscfg_bits::secure_nested_paging_en | msr::syscfg_bits::vmpl_en;
    EXPECT_EQ((port.msrs[{core, msr::syscfg}]), bits);
    EXPECT_NE((port.msrs[{core, msr::efer}]) & x86::efer::svme, 0u);
    const u64 save_area = port.msrs[{core, msr::vm_hsave_pa}];
    EXPECT_NE(save_area, 0u);
    EXPECT_TRUE(is_aligned(save_area, page_size));
  }
  EXPECT_NE((port.msrs[{0, msr::vm_hsave_pa}]), (port.msrs[{1, msr::vm_hsave_pa}]));
  // WBINVD on every core between SNP_INIT_EX and SNP_DF_FLUSH.
  const auto init = std::find(port.log.begin(), port.log.end(), "SNP_INIT_EX");
  ASSERT_NE(init, port.log.end());
  EXPECT_EQ(std::vector<std::string>(init + 1, init + 4),
            (std::vector<std::string>{"wbinvd", "wbinvd", "SNP_DF_FLUSH"}));
  EXPECT_EQ(std::vector<std::string>(init - 2, init),
            (std::vector<std::string>{"wbinvd", "wbinvd"}));
  ASSERT_TRUE(host.platform.enable_snp().ok());
  EXPECT_EQ(port.count(psp::Command::snp_init_ex), 1u);
}

TEST(Platform, AFirmwareRefusalCarriesItsStatus) {
  test::FakePort port(64 * mib);
  port.psp_status[psp::Command::snp_init_ex] = psp::Status::invalid_config;
  HostKernel host(port);
  const auto enabled = host.platform.enable_snp();
  ASSERT_FALSE(enabled.ok());
  EXPECT_EQ(enabled.error().firmware, psp::number(psp::Status::invalid_config));
}

TEST(AsidPool, UsedAsidsComeBackAfterAFlush) {
  test::FakePort port(64 * mib);
  HostKernel host(port);
  for (u32 expected = 1; expected < 100; ++expected) {
    const auto asid = host.asids.allocate(AsidKind::encrypted_state);
    ASSERT_TRUE(asid.ok());
    EXPECT_EQ(number(*asid), expected);
  }
  EXPECT_FALSE(host.asids.allocate(AsidKind::encrypted_state).ok());
  host.asids.release(static_cast<Asid>(42));
  EXPECT_EQ(port.count(psp::Command::snp_df_flush), 0u);
  EXPECT_EQ(number(*host.asids.allocate(AsidKind::encrypted_state)), 42u);
  EXPECT_EQ(port.count(psp::Command::snp_df_flush), 1u);
}

TEST(HostMemory, ReleasedPagesAreClearedAndProtectedOnesLeak) {
  test::FakePort port(64 * mib);
  HostMemory memory(port);
  const auto page = memory.allocate(PageSize::size_4k);
  const usize touched = port.touched_pages();  // tables of the direct map
  memory.store_value(*page, u64{0x1234});
  memory.release(*page, PageSize::size_4k);
  EXPECT_EQ(port.touched_pages(), touched);
  ASSERT_EQ(memory.allocate(PageSize::size_4k), page);
  port.rmp[page->page_number()] = snp::RmpUpdate{0, 1, 0, 0, 0, 1};
  memory.release(*page, PageSize::size_4k);
  ASSERT_EQ(memory.leaked().size(), 1u);
  EXPECT_NE(memory.allocate(PageSize::size_4k), page);
}

TEST(Rmp, FirmwarePagesGoAndComeBack) {
  test::FakePort port(64 * mib);
  HostKernel host(port);
  const auto page = host.rmp.allocate_firmware();
  ASSERT_TRUE(page.ok());
  const snp::RmpUpdate entry = host.rmp.read(*page);
  EXPECT_EQ(entry.assigned, 1);
  EXPECT_EQ(entry.immutable, 1);
  EXPECT_EQ(entry.asid, 0u);
  host.rmp.release_firmware(*page);
  EXPECT_EQ(host.rmp.read(*page).assigned, 0);
  EXPECT_TRUE(host.memory.leaked().empty());
}

TEST(Rmp, APageTheFirmwareKeepsIsLeaked) {
  test::FakePort port(64 * mib);
  HostKernel host(port);
  const auto page = host.rmp.allocate_firmware();
  port.psp_status[psp::Command::snp_page_reclaim] = psp::Status::invalid_page_state;
  host.rmp.release_firmware(*page);
  EXPECT_EQ(host.memory.leaked().size(), 1u);
}

TEST(Rmp, SmashingASmallEntryIsSuccess) {
  test::FakePort port(64 * mib);
  HostKernel host(port);
  const SystemPhysical large(16 * mib);
  ASSERT_TRUE(host.rmp
                  .assign(large, PageSize::size_2m, GuestPhysical(0), static_cast<Asid>(3),
                          Rmp::Immutable::no)
                  .ok());
  EXPECT_FALSE(host.rmp.make_hypervisor(large, PageSize::size_4k).ok());
  EXPECT_TRUE(host.rmp.psmash(large).ok());
  EXPECT_TRUE(host.rmp.psmash(large).ok());
  EXPECT_EQ(host.rmp.read(large + 5 * page_size).gpa, 5 * page_size);
  EXPECT_TRUE(host.rmp.make_hypervisor(large, PageSize::size_4k).ok());
}

}  // namespace
}  // namespace softsnp::host

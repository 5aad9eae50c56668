// Nested paging and RMP verdicts as page faults, #NPF and #VC 404h. Hardware sheet 5.2-5.4.
#include <gtest/gtest.h>

#include <memory>

#include "base/bytes.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {
namespace {

using namespace x86;

constexpr u64 mib = u64{1} << 20;
constexpr u64 nested_root = 1 * mib;  // NPT: root, level 2, level 1, level 0
constexpr u64 guest_page = 0x5000;    // gPA
constexpr u64 host_page = 4 * mib + 0x5000;
constexpr u64 rmp_base = 32 * mib;

class NestedTest : public testing::Test {
 protected:
  NestedTest()
      : dram_(u64{64} << 20),
        rmp_(dram_),
        code_(dram_),
        mmu_(std::make_unique<Mmu>(dram_, rmp_, code_)) {
    core_->memory = mmu_.get();
    const u64 flags = pte::present | pte::write | pte::user;
    for (u64 level = 0; level < 3; ++level) {
      put(nested_root + level * page_size, (nested_root + (level + 1) * page_size) | flags);
    }
    for (u64 i = 0; i < 512; ++i) {
      put(nested_root + 3 * page_size + 8 * i, (4 * mib + i * page_size) | flags);
    }
    GuestContext& guest = mmu_->guest();
    guest.guest = guest.nested_paging = guest.sev = guest.sev_es = guest.snp = true;
    guest.asid = static_cast<Asid>(5);
    guest.nested_cr3 = SystemPhysical(nested_root);
    // Paging off: every access is private (hardware sheet 2.1).
    core_->state.cr0 = cr0::pe;
    core_->state.seg[1].attributes = svm::attribute::default_big;
    mmu_->mode_changed(*core_);
    rmp_.set_range(SystemPhysical(rmp_base), SystemPhysical(rmp_base + mib - 1));
    rmp_.set_enabled(true);
  }

  void put(u64 at, u64 value) {
    u8 bytes[8];
    store_le(bytes, value);
    dram_.write(SystemPhysical(at), memory::KeyId::none, bytes);
  }
  void assign(u64 spa, u64 gpa, u32 asid, bool validated) {
    snp::RmpEntry entry;
    entry.set_assigned(true);
    entry.set_asid(static_cast<Asid>(asid));
    entry.set_gpa(GuestPhysical(gpa));
    entry.set_validated(validated);
    entry.set_permissions(Vmpl::vmpl0, snp::permission::all);
    rmp_.write_entry(SystemPhysical(spa), entry, {});
  }
  u8* access(Access kind) {
    core_->fault = {};
    return mmu_->translate(*core_, guest_page, 8, kind);
  }

  memory::Dram dram_;
  memory::Rmp rmp_;
  std::unique_ptr<Core> core_ = std::make_unique<Core>();
  CodeStore code_;
  std::unique_ptr<Mmu> mmu_;
};

TEST_F(NestedTest, ValidPageIsReadUnderTheGuestKey) {
  assign(host_page, guest_page, 5, true);
  u8* at = access(Access::write);
  ASSERT_NE(at, nullptr);
  store_le<u64>(at, 0x1234);
  EXPECT_EQ(dram_.form(SystemPhysical(host_page)), memory::key_of(static_cast<Asid>(5)));
  u8 seen[8];
  dram_.read(SystemPhysical(host_page), memory::KeyId::none, seen);
  EXPECT_NE(load_le<u64>(seen), 0x1234u) << "the host sees ciphertext";
  ASSERT_NE(at = access(Access::read), nullptr);
  EXPECT_EQ(load_le<u64>(at), 0x1234u);
}

TEST_F(NestedTest, NotAssignedIsNestedFaultWithRmpBit) {
  ASSERT_EQ(access(Access::read), nullptr);
  EXPECT_EQ(core_->fault.kind, FaultKind::nested);
  EXPECT_EQ(core_->fault.error_code, pf_error::present | pf_error::user | snp::npf::rmp |
                                         snp::npf::final_gpa | snp::npf::enc);
  EXPECT_EQ(core_->fault.address, guest_page);
}

TEST_F(NestedTest, OtherAsidAndOtherGpaAreRefused) {
  assign(host_page, guest_page, 6, true);
  EXPECT_EQ(access(Access::read), nullptr);
  EXPECT_EQ(core_->fault.kind, FaultKind::nested);
  assign(host_page, guest_page + page_size, 5, true);
  EXPECT_EQ(access(Access::read), nullptr);
  EXPECT_EQ(core_->fault.kind, FaultKind::nested);
}

TEST_F(NestedTest, NotValidatedIsVc404) {
  assign(host_page, guest_page, 5, false);
  EXPECT_EQ(access(Access::read), nullptr);
  EXPECT_EQ(core_->fault.kind, FaultKind::not_validated);
  EXPECT_EQ(core_->fault.address, guest_page);
}

TEST_F(NestedTest, VmplMaskSetsBit36) {
  assign(host_page, guest_page, 5, true);
  mmu_->guest().vmpl = Vmpl::vmpl1;
  mmu_->mode_changed(*core_);
  EXPECT_EQ(access(Access::read), nullptr);
  EXPECT_NE(core_->fault.error_code & snp::npf::vmpl, 0u);
}

TEST_F(NestedTest, ReservedBitsOfTheNestedEntryShow) {
  put(nested_root + 3 * page_size + 8 * (guest_page >> 12),
      mask_bits(51, snp::host_physical_address_bits) | pte::present | pte::write | pte::user);
  EXPECT_EQ(access(Access::read), nullptr);
  EXPECT_NE(core_->fault.error_code & pf_error::reserved, 0u);
}

TEST_F(NestedTest, RmpChangeReachesTheTlb) {
  assign(host_page, guest_page, 5, true);
  ASSERT_NE(access(Access::read), nullptr);
  ASSERT_EQ(core_->tlb[tlb_index(guest_page)].read_tag, guest_page);
  rmp_.write_entry(SystemPhysical(host_page), {}, {});
  mmu_->catch_up(*core_);
  EXPECT_NE(core_->tlb[tlb_index(guest_page)].read_tag, guest_page);
  EXPECT_EQ(access(Access::read), nullptr);
}

TEST_F(NestedTest, NoDramBehindTheMappingReadsAllOnes) {
  rmp_.set_enabled(false);
  put(nested_root + 3 * page_size + 8 * (guest_page >> 12),
      (u64{1} << 40) | pte::present | pte::write | pte::user);
  u8* at = access(Access::read);
  ASSERT_NE(at, nullptr);
  EXPECT_EQ(load_le<u64>(at), ~u64{0});
}

}  // namespace
}  // namespace softsnp::cpu

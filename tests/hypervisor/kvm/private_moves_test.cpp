// Private pages of an SNP VM, moved and swapped by commands of the AMD-SP.
#include "arch/snp/features.hpp"
#include "hypervisor/host/numa.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 mib = test_mib;
constexpr u64 dram = 64 * mib;

// Entries of the guest by gPA.
std::map<u64, SystemPhysical> guest_pages(const SnpVm& t) {
  std::map<u64, SystemPhysical> pages;
  for (const auto& [number, entry] : t.port.rmp) {
    if (entry.asid != 0 && entry.gpa < 8 * mib) {
      pages[entry.gpa] = SystemPhysical(number << page_shift);
    }
  }
  return pages;
}

TEST(PrivateMoves, ALargePageGoesInOneCommand) {
  SnpVm t;
  const SystemPhysical before = guest_pages(t).at(0);
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  const auto moved = t.vm->migrate_private(GuestPhysical(0), 2 * mib, 1);
  ASSERT_TRUE(moved.ok()) << moved.error().what;
  EXPECT_EQ(moved->moved, 512u);
  EXPECT_EQ(t.port.count(psp::Command::snp_page_move), 1u);
  const SystemPhysical after = guest_pages(t).at(0);
  EXPECT_EQ(host::node_of(after, dram), 1u);
  EXPECT_EQ(t.port.entry(after).page_size, 1);
  EXPECT_EQ(t.port.entry(after).immutable, 0);
  EXPECT_EQ(t.port.entry(before).assigned, 0);
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned);
  EXPECT_EQ(t.vm->migrate_private(GuestPhysical(0), 2 * mib, 1)->moved, 0u) << "it is there";
}

TEST(PrivateMoves, PartOfALargePageIsSplitOff) {
  SnpVm t;
  const SystemPhysical before = guest_pages(t).at(0);
  ASSERT_EQ(t.vm->migrate_private(GuestPhysical(0x5000), 0x2000, 1)->moved, 2u);
  EXPECT_EQ(t.port.psmashes, 1u);
  const auto pages = guest_pages(t);
  EXPECT_EQ(host::node_of(pages.at(0x5000), dram), 1u);
  EXPECT_EQ(host::node_of(pages.at(0x6000), dram), 1u);
  EXPECT_EQ(pages.at(0x7000), before + 0x7000);
  EXPECT_EQ(t.port.entry(before + 0x5000).assigned, 0);
}

TEST(PrivateMoves, OutAndBack) {
  SnpVm t;
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  ASSERT_EQ(t.vm->swap_out_private(GuestPhysical(0x5000), 0x3000)->swapped_out, 3u);
  EXPECT_EQ(t.port.count(psp::Command::snp_page_md_init), 1u) << "one page has 64 entries";
  EXPECT_EQ(t.port.count(psp::Command::snp_page_swap_out), 3u);
  EXPECT_EQ(guest_pages(t).count(0x5000), 0u);
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned - 3 + 1) << "and the metadata";
  EXPECT_EQ(t.vm->swap_out_private(GuestPhysical(0x5000), 0x3000)->swapped_out, 0u);
  EXPECT_EQ(t.vm->swap_in_private(GuestPhysical(0x5000), 0x1000)->swapped_in, 1u);
  EXPECT_EQ(guest_pages(t).count(0x5000), 1u);
  // The guest's own touch brings the next.
  t.port.script.push_back([](svm::Vmcb& vmcb) {
    vmcb.exitcode = number(svm::ExitCode::npf);
    vmcb.exitinfo1 = snp::npf::enc;
    vmcb.exitinfo2 = 0x6000;
  });
  t.finish();
  EXPECT_EQ(guest_pages(t).count(0x6000), 1u);
  EXPECT_EQ(t.port.count(psp::Command::snp_page_swap_in), 2u);
}

TEST(PrivateMoves, WhatIsConvertedMeanwhileIsForgotten) {
  SnpVm t;
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  ASSERT_EQ(t.vm->swap_out_private(GuestPhysical(0x5000), 0x3000)->swapped_out, 3u);
  ASSERT_TRUE(t.vm->set_private(GuestPhysical(0x5000), 0x1000, false).ok());
  EXPECT_EQ(t.vm->swap_in_private(GuestPhysical(0x5000), 0x3000)->swapped_in, 2u);
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned - 1 + 1);
  t.vcpu = nullptr;
  t.vm.reset();
  EXPECT_TRUE(t.kvm->leaked_pages().empty());
  EXPECT_TRUE(guest_pages(t).empty());
}

TEST(PrivateMoves, ARefusalLeavesEverythingAsItWas) {
  SnpVm t;
  const auto before = guest_pages(t);
  const u64 assigned = t.kvm->direct_map().assigned_pages;
  const u64 free = t.kvm->memory().report().free;
  for (const auto command : {psp::Command::snp_page_move, psp::Command::snp_page_md_init,
                             psp::Command::snp_page_swap_out}) {
    t.port.psp_status[command] = psp::Status::invalid_command;
  }
  const auto moved = t.vm->migrate_private(GuestPhysical(0), 2 * mib, 1);
  ASSERT_FALSE(moved.ok());
  EXPECT_EQ(moved.error().number, EIO);
  EXPECT_EQ(moved.error().firmware, psp::number(psp::Status::invalid_command));
  EXPECT_EQ(guest_pages(t), before);
  EXPECT_EQ(t.port.entry(before.at(0)).immutable, 0);
  EXPECT_FALSE(t.vm->swap_out_private(GuestPhysical(0x5000), 0x1000).ok());
  t.port.psp_status.erase(psp::Command::snp_page_md_init);
  EXPECT_FALSE(t.vm->swap_out_private(GuestPhysical(0x5000), 0x1000).ok());
  EXPECT_EQ(guest_pages(t).size(), 512u) << "split, as the swapping of one page needs it";
  EXPECT_EQ(t.port.entry(before.at(0) + 0x5000).immutable, 0);
  EXPECT_EQ(t.kvm->direct_map().assigned_pages, assigned + 1) << "the metadata page";
  EXPECT_EQ(t.kvm->memory().report().free, free - 1);
}

// Each RMPUPDATE on the way fails once, for good: what cannot come back is on the list of leaked
// pages, nothing else is missing, and the guest's other pages are where they were.
TEST(PrivateMoves, AFailureAtAnyStepIsAccountedFor) {
  for (int step = 0; step < 12; ++step) {
    SnpVm t;
    for (const bool swap : {true, false}) {
      t.port.fail_rmpupdate_in = step;
      (void)(swap ? t.vm->swap_out_private(GuestPhysical(0x5000), 0x2000)
                  : t.vm->migrate_private(GuestPhysical(0x9000), 0x2000, 1))
          .ok();
      t.port.fail_rmpupdate_in = -1;
      EXPECT_TRUE(t.vm->swap_in_private(GuestPhysical(0x5000), 0x2000).ok()) << step;
    }
    EXPECT_EQ(guest_pages(t).size(), 512u) << step;
    const usize leaked = t.kvm->leaked_pages().size();
    EXPECT_LE(leaked, 2u);
    t.vcpu = nullptr;
    t.vm.reset();
    EXPECT_EQ(t.kvm->leaked_pages().size(), leaked) << "no more at the end";
    EXPECT_EQ(t.kvm->direct_map().assigned_pages, leaked) << step;
    EXPECT_EQ(t.kvm->memory().report().guest_memfd, 0u);
  }
}

TEST(PrivateMoves, BadRanges) {
  SnpVm t;
  EXPECT_EQ(t.vm->migrate_private(GuestPhysical(0x800), 0x1000, 0).error().number, EINVAL);
  EXPECT_EQ(t.vm->migrate_private(GuestPhysical(0), 0, 0).error().number, EINVAL);
  EXPECT_EQ(t.vm->migrate_private(GuestPhysical(0), 0x1000, 2).error().number, EINVAL);
  EXPECT_EQ(t.vm->swap_out_private(GuestPhysical(7 * mib), 2 * mib).error().number, EINVAL);
  EXPECT_EQ(t.vm->swap_out_private(GuestPhysical(4 * mib), 0x1000)->swapped_out, 0u)
      << "nothing is there";
}

}  // namespace
}  // namespace softsnp::kvm

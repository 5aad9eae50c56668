// SNP AP creation and the list of APIC ids: every refusal, and what a target becomes.
#include "arch/ghcb/ap_creation.hpp"

#include <gtest/gtest.h>

#include "arch/ghcb/response.hpp"
#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {
using ghcb::ApCreation;
using ghcb::ApRequest;

constexpr u64 vmsa_at = 0x7000;
constexpr u64 of_guest = snp::feature::snp_active;

ghcb::Ghcb creation_page(u64 info1, u64 vmsa = vmsa_at, u64 features = of_guest) {
  ghcb::Ghcb page = event_page(ghcb::Event::ap_creation, info1, vmsa);
  page.rax = features;
  page.valid_bitmap.set(ghcb::field::rax);
  return page;
}
u64 info(u32 apic_id, ApRequest request, u8 vmpl = 0) {
  return encode(ApCreation{apic_id, vmpl, 0, request});
}

// VMs whose guests are scripts: each step is the next VMRUN of whoever has the turn.
struct ApVm : SnpVm {
  explicit ApVm(u32 vcpus = 3, u64 vmsa_features = 0) : SnpVm(snp_config(vmsa_features), vcpus) {
    register_ghcb();
  }

  void create(u64 info1, u64 vmsa = vmsa_at, u64 features = of_guest) {
    page_exit(creation_page(info1, vmsa, features));
  }
  // In the next turns somebody runs with that VMSA; the others spin.
  void expect_vmsa(SystemPhysical expected) {
    const auto step = [expected](svm::Vmcb& vmcb) {
      const bool found = vmcb.vmsa_pointer == expected.value();
      vmcb.exitcode = number(found ? svm::ExitCode::shutdown : svm::ExitCode::pause);
    };
    port.script.assign(8, step);
    const VmExit exit = vm->run(far_deadline);
    EXPECT_TRUE(std::holds_alternative<ShutdownExit>(exit.exit)) << exit.exit.index();
    port.script.clear();
    ran = exit.vcpu;
  }
  // As the firmware and a page fault of the guest have put it there.
  SystemPhysical page_of(u64 gpa) {
    for (const auto& [number, entry] : port.rmp) {
      if (entry.assigned != 0 && entry.gpa == align_down(gpa, large_page_size) &&
          entry.page_size != 0) {
        return SystemPhysical(number << 12) + gpa % large_page_size;
      }
    }
    ADD_FAILURE() << "no such page";
    return SystemPhysical(0);
  }
  Vcpu* ran = nullptr;
};

struct Refusal {
  const char* what;
  u64 info1;
  u64 vmsa = vmsa_at;
  u64 features = of_guest;
};

TEST(ApCreation, WhatIsWrongIsRefusedAndChangesNothing) {
  const u64 create = info(1, ApRequest::create);
  const Refusal rows[] = {
      {"no such vCPU", info(9, ApRequest::create)},
      {"VMPL 4", info(1, ApRequest::create, 4)},
      {"VMPL 15", info(1, ApRequest::create, 15)},
      {"its own VMSA at VMPL0", info(0, ApRequest::create)},
      {"restricted injection", create, vmsa_at, of_guest | snp::feature::restricted_injection},
      {"alternate injection", create, vmsa_at, of_guest | snp::feature::alternate_injection},
      {"not a page", create, vmsa_at + 8},
      {"2 MiB boundary", create, 2 * test_mib},
      {"beyond the address space", create, u64{1} << 50},
      {"request 3", info(1, static_cast<ApRequest>(3))},
      {"reserved bits", create | 1 << 20},
      {"destroy of nobody", info(9, ApRequest::destroy)},
      {"destroy at VMPL 7", info(1, ApRequest::destroy, 7)},
  };
  for (const Refusal& row : rows) {
    SCOPED_TRACE(row.what);
    ApVm t;
    t.create(row.info1, row.vmsa, row.features);
    t.expect_answer(2, 5);
    const VmExit exit = t.vm->run(far_deadline);
    ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit.exit));
    EXPECT_NE(std::get<NoProgressExit>(exit.exit).why.find("vCPU 1 (APIC id 1): waits for AP"),
              std::string::npos);
  }
}

TEST(ApCreation, CreateRunsTheNewVmsaAtOnce) {
  ApVm t;
  t.create(info(2, ApRequest::create));
  t.expect_answer(0, 0);
  t.expect_vmsa(t.page_of(vmsa_at));
  EXPECT_EQ(t.ran->index(), 2u);
  EXPECT_EQ(t.ran->mp_state(), MpState::runnable);
}

TEST(ApCreation, TheFirstAtAVmplDefinesItsInjectionMode) {
  ApVm t(3, snp::feature::restricted_injection);
  const u64 restricted = of_guest | snp::feature::restricted_injection;
  t.create(info(1, ApRequest::create_on_init, 2), vmsa_at, restricted);
  t.expect_answer(0, 0);
  t.create(info(2, ApRequest::create_on_init, 2), vmsa_at + 0x1000, of_guest);
  t.expect_answer(2, 5);
  t.create(info(2, ApRequest::create_on_init, 2), vmsa_at + 0x1000, restricted);
  t.expect_answer(0, 0);
  t.create(info(2, ApRequest::create_on_init, 1), vmsa_at + 0x1000, of_guest);
  t.expect_answer(0, 0);
}

// INIT and SIPI through the local APIC of an SNP guest: an MSR event each.
void send_init_and_startup(ApVm& t, u32 apic_id) {
  const auto write = [&t](u32 msr, u64 value) {
    ghcb::Ghcb page = event_page(ghcb::Event::msr, 1);
    page.rcx = msr;
    page.rax = static_cast<u32>(value);
    page.rdx = value >> 32;
    for (const unsigned f : {ghcb::field::rax, ghcb::field::rcx, ghcb::field::rdx}) {
      page.valid_bitmap.set(f);
    }
    t.page_exit(page);
    t.expect_answer(0, 0);
  };
  write(0x1B, 0xFEE00D00);
  write(0x830, u64{apic_id} << 32 | 0x4500);
  write(0x830, u64{apic_id} << 32 | 0x4608);
}

TEST(ApCreation, CreateOnInitWaitsForInitAndSipi) {
  ApVm t;
  t.create(info(1, ApRequest::create_on_init));
  t.expect_answer(0, 0);
  t.finish();
  EXPECT_EQ(t.all[1]->mp_state(), MpState::uninitialized);
  send_init_and_startup(t, 1);
  t.expect_vmsa(t.page_of(vmsa_at));
  EXPECT_EQ(t.ran->index(), 1u);
}

// What KVM 6.12 does with an AP that nobody has created: the first SIPI runs its launch VMSA.
TEST(ApCreation, SipiWithoutCreationRunsTheLaunchVmsa) {
  ApVm t;
  std::vector<SystemPhysical> measured;
  for (const auto& call : t.port.psp_calls) {
    const auto update = load_le<psp::SnpLaunchUpdate>(call.buffer.data());
    if (call.command == psp::Command::snp_launch_update && (update.flags >> 1 & 7) == 2) {
      measured.push_back(SystemPhysical(update.page_paddr));
    }
  }
  ASSERT_EQ(measured.size(), 3u) << "one VMSA a vCPU is measured";
  send_init_and_startup(t, 2);
  t.expect_vmsa(measured[2]);
  EXPECT_EQ(t.ran->index(), 2u);
}

TEST(ApCreation, DestroyTakesTheVmsaAway) {
  ApVm t(2);
  t.create(info(1, ApRequest::create));
  t.expect_vmsa(t.page_of(vmsa_at));
  t.create(info(1, ApRequest::destroy), 0, 0);
  t.expect_answer(0, 0);
  t.port.script.push_back([](svm::Vmcb& vmcb) { vmcb.exitcode = number(svm::ExitCode::shutdown); });
  EXPECT_EQ(t.vm->run(far_deadline).vcpu->index(), 0u);
  EXPECT_EQ(t.all[1]->mp_state(), MpState::no_vmsa);
  // SIPI starts nothing where nothing is.
  send_init_and_startup(t, 1);
  const VmExit refused = t.vm->run(far_deadline);
  ASSERT_TRUE(std::holds_alternative<FailEntryExit>(refused.exit));
  EXPECT_NE(std::get<FailEntryExit>(refused.exit).why.find("vCPU 1 has no VMSA at VMPL0"),
            std::string::npos);
}

TEST(ApCreation, AVmsaWithoutMemoryIsNamedAtTheEntry) {
  ApVm t(2);
  t.create(info(1, ApRequest::create), 0x40000000 + 0x1000);
  t.expect_answer(0, 0);
  const VmExit exit = t.vm->run(far_deadline);
  ASSERT_TRUE(std::holds_alternative<FailEntryExit>(exit.exit));
  EXPECT_EQ(exit.vcpu->index(), 1u);
  EXPECT_NE(std::get<FailEntryExit>(exit.exit).why.find("40001000"), std::string::npos);
}

ghcb::Ghcb ids_page(u64 pages, u64 gpa) {
  ghcb::Ghcb page = event_page(ghcb::Event::apic_id_list, gpa);
  page.rax = pages;
  page.valid_bitmap.set(ghcb::field::rax);
  return page;
}

TEST(ApicIds, TooLittleRoomIsAnsweredWithWhatItTakes) {
  ApVm t;
  t.page_exit(ids_page(0, 0x123));
  t.expect_answer(0, 0);
  EXPECT_EQ(t.page().rax, 1u);
}

TEST(ApicIds, TheListIsWritten) {
  ApVm t;
  constexpr u64 buffer = 3 * test_mib;
  t.page_exit(ids_page(1, buffer));
  t.expect_answer(0, 0);
  EXPECT_EQ(t.page().rax, 1u);
  std::vector<u8> bytes(16);
  ASSERT_TRUE(t.vm->read_shared(GuestPhysical(buffer), bytes).ok());
  for (u32 i = 0; i < 4; ++i) {
    EXPECT_EQ(load_le<u32>(bytes.data() + 4 * i), i == 0 ? 3 : i - 1);
  }
}

TEST(ApicIds, BadBuffersAreRefused) {
  for (const u64 gpa : {3 * test_mib + 4, u64{0x3000}, u64{1} << 40}) {
    ApVm t;
    t.page_exit(ids_page(~u64{0}, gpa));
    t.expect_answer(2, 5);
  }
}

}  // namespace
}  // namespace softsnp::kvm

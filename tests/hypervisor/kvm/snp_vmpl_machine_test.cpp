// AP creation and VMPLs on the real machine: the guest makes its VMSAs with RMPADJUST.
#include <gtest/gtest.h>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/events.hpp"
#include "arch/ghcb/ghcb.hpp"
#include "arch/snp/features.hpp"
#include "tests/hypervisor/kvm/guest_code.hpp"
#include "tests/hypervisor/kvm/machine_guest.hpp"

namespace softsnp::kvm {
namespace {
using ghcb::ApCreation;
using ghcb::ApRequest;

constexpr u64 flag_at = 0x6000, vmsa_at = 0x7000, other_code_at = 0x8000, ghcb_page_at = 0x9000;
// RDX of RMPADJUST: target VMPL, permissions in [15:8], VMSA in [16].
constexpr u32 make_vmsa = 0x10001, all_of_vmpl1 = 0x0F01;

svm::Vmsa other_state(u8 vmpl, u64 features = snp::feature::snp_active) {
  svm::Vmsa state = long_mode();
  state.efer |= x86::efer::svme;
  state.rip = other_code_at;
  state.vmpl = vmpl;
  state.sev_features = features;
  return state;
}

std::vector<u8> bytes_of(const svm::Vmsa& state) {
  return {std::begin(state.raw), std::end(state.raw)};
}

std::vector<u8> creation(const ApCreation& asked, u64 page = vmsa_at) {
  ghcb::Ghcb request{};
  request.sw_exitcode = number(ghcb::Event::ap_creation);
  request.sw_exitinfo1 = encode(asked);
  request.sw_exitinfo2 = page;
  request.rax = snp::feature::snp_active;
  for (const unsigned f : {ghcb::field::sw_exitcode, ghcb::field::sw_exitinfo1,
                           ghcb::field::sw_exitinfo2, ghcb::field::rax}) {
    request.valid_bitmap.set(f);
  }
  return {std::begin(request.raw), std::end(request.raw)};
}

GuestCode request_by_ghcb() {
  GuestCode code;
  code.ask(ghcb::encode(ghcb::RegisterGhcbRequest{GuestPhysical(ghcb_page_at)}));
  return code.wrmsr(x86::msr::ghcb, ghcb_page_at).vmgexit();
}

void expect_termination(const VmExit& exit, u64 code) {
  const auto* end = std::get_if<TerminationExit>(&exit.exit);
  const auto* refused = std::get_if<FailEntryExit>(&exit.exit);
  ASSERT_NE(end, nullptr) << exit.exit.index() << (refused != nullptr ? refused->why : "");
  EXPECT_EQ(end->reason_code, code);
}

TEST(SnpOnMachine, AnApStartsFromAGuestPage) {
  GuestCode bsp;
  bsp.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  bsp.bytes.insert(bsp.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  bsp.wait_byte(flag_at, 1).load_byte(flag_at).terminate_with_al();
  GuestCode ap;
  ap.increment(flag_at).halt();
  SnpGuestOnMachine t(bsp.bytes, 2,
                      {{vmsa_at, bytes_of(other_state(0))}, {other_code_at, ap.bytes}},
                      {{ghcb_page_at, creation({1, 0, 0, ApRequest::create})}}, 2);
  expect_termination(t.vm->run(t.vm->now() + 10'000'000), 1);
  t.vm.reset();
  EXPECT_TRUE(t.kvm->leaked_pages().empty()) << "the guest's VMSA page comes back too";
}

TEST(SnpOnMachine, TheVmsaMayMoveWhileItsVcpuWaits) {
  GuestCode bsp;
  bsp.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  bsp.bytes.insert(bsp.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  bsp.wait_byte(flag_at, 1);
  bsp.put({0xB9}).put32(1'000'000).put({0xFF, 0xC9, 0x75, 0xFC});  // mov ecx; dec ecx; jnz
  bsp.increment(flag_at + 1).wait_byte(flag_at, 2).load_byte(flag_at).terminate_with_al();
  GuestCode ap;
  ap.increment(flag_at).wait_byte(flag_at + 1, 1).increment(flag_at).halt();
  SnpGuestOnMachine t(bsp.bytes, 2,
                      {{vmsa_at, bytes_of(other_state(0))}, {other_code_at, ap.bytes}},
                      {{ghcb_page_at, creation({1, 0, 0, ApRequest::create})}});
  ASSERT_TRUE(std::holds_alternative<InterruptedExit>(t.vm->run(t.vm->now() + 500'000).exit));
  // To the other node, whichever it is on.
  u64 moved = 0;
  for (unsigned node = 0; node < 2 && moved == 0; ++node) {
    const auto report = t.vm->migrate_private(GuestPhysical(vmsa_at), page_size, node);
    ASSERT_TRUE(report.ok()) << report.error().what;
    moved = report->moved;
  }
  EXPECT_EQ(moved, 1u);
  expect_termination(t.vm->run(t.vm->now() + 10'000'000), 2);
}

TEST(SnpOnMachine, AVmsaThatTheVmmTakesAwayIsRefused) {
  GuestCode bsp;
  bsp.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  bsp.bytes.insert(bsp.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  bsp.forever();
  GuestCode ap;
  ap.forever();
  SnpGuestOnMachine t(bsp.bytes, 2,
                      {{vmsa_at, bytes_of(other_state(0))}, {other_code_at, ap.bytes}},
                      {{ghcb_page_at, creation({1, 0, 0, ApRequest::create})}});
  ASSERT_TRUE(std::holds_alternative<InterruptedExit>(t.vm->run(t.vm->now() + 500'000).exit));
  ASSERT_TRUE(t.vm->set_private(GuestPhysical(vmsa_at), page_size, false).ok());
  const VmExit exit = t.vm->run(t.vm->now() + 500'000);
  ASSERT_TRUE(std::holds_alternative<FailEntryExit>(exit.exit)) << exit.exit.index();
  EXPECT_EQ(exit.vcpu->index(), 1u);
}

TEST(SnpOnMachine, APageThatIsNoVmsaIsRefusedAtTheEntry) {
  GuestCode bsp = request_by_ghcb();
  bsp.wait_byte(flag_at, 1).halt();
  SnpGuestOnMachine t(bsp.bytes, 2, {{vmsa_at, bytes_of(other_state(0))}},
                      {{ghcb_page_at, creation({1, 0, 0, ApRequest::create})}});
  const VmExit exit = t.vm->run(t.vm->now() + 10'000'000);
  ASSERT_TRUE(std::holds_alternative<FailEntryExit>(exit.exit)) << exit.exit.index();
  EXPECT_EQ(exit.vcpu->index(), 1u);
  const std::string& why = std::get<FailEntryExit>(exit.exit).why;
  EXPECT_NE(why.find("not marked as VMSA"), std::string::npos) << why;
  EXPECT_NE(why.find("by AP creation from gPA 0x7000"), std::string::npos) << why;
}

// An AP at VMPL1 faults on a page until the BSP gives it to VMPL1.
TEST(SnpOnMachine, AFaultMayWaitForAnotherVcpu) {
  GuestCode bsp;
  for (const u64 page : {0x1000, 0x2000, 0x3000, 0x4000, 0x8000}) {
    bsp.rmpadjust(static_cast<u32>(page), all_of_vmpl1);
  }
  bsp.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  bsp.bytes.insert(bsp.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  bsp.put({0xB9}).put32(200'000).put({0xFF, 0xC9, 0x75, 0xFC});  // mov ecx; dec ecx; jnz
  bsp.rmpadjust(flag_at, all_of_vmpl1).wait_byte(flag_at, 1).load_byte(flag_at);
  bsp.terminate_with_al();
  GuestCode ap;
  ap.increment(flag_at).forever();
  SnpGuestOnMachine t(bsp.bytes, 2,
                      {{vmsa_at, bytes_of(other_state(1))}, {other_code_at, ap.bytes}},
                      {{ghcb_page_at, creation({1, 1, 0, ApRequest::create})}});
  expect_termination(t.vm->run(t.vm->now() + 10'000'000), 1);
}

// VMPL0 gives VMPL1 what it needs, runs it, and gets its answer when VMPL1 asks for VMPL0.
TEST(SnpOnMachine, TwoVmplsTakeTurnsOnOneVcpu) {
  GuestCode high;
  for (const u64 page : {0x1000, 0x2000, 0x3000, 0x4000, 0x6000, 0x8000}) {
    high.rmpadjust(static_cast<u32>(page), all_of_vmpl1);
  }
  high.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  high.bytes.insert(high.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  high.ask(ghcb::encode(ghcb::RunVmplRequest{1}));
  // cmp eax, 17h; jne to itself; test edx, edx; jne to itself
  high.put({0x83, 0xF8, 0x17, 0x75, 0xFE, 0x85, 0xD2, 0x75, 0xFE});
  high.ask(ghcb::encode(ghcb::RunVmplRequest{1}));
  high.load_byte(flag_at).terminate_with_al();
  GuestCode low;
  for (int i = 0; i < 2; ++i) {
    low.increment(flag_at).increment(flag_at);
    low.ask(ghcb::encode(ghcb::RunVmplRequest{0}));
  }
  low.forever();
  struct Seen final : Observer {
    void vmgexit(const VmgexitEvent& e) override {
      if (e.code == 0x016) {
        runs.emplace_back(e.vmpl, e.answer);
      }
    }
    std::vector<std::pair<Vmpl, u64>> runs;
  } seen;
  SnpGuestOnMachine t(high.bytes, 1,
                      {{vmsa_at, bytes_of(other_state(1))}, {other_code_at, low.bytes}},
                      {{ghcb_page_at, creation({0, 1, 0, ApRequest::create_on_init})}}, 1, &seen);
  expect_termination(t.vm->run(t.vm->now() + 10'000'000), 4);
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl0);
  using Row = std::pair<Vmpl, u64>;
  EXPECT_EQ(
      seen.runs,
      (std::vector<Row>{
          {Vmpl::vmpl0, 0x17}, {Vmpl::vmpl1, 0x17}, {Vmpl::vmpl0, 0x17}, {Vmpl::vmpl1, 0x17}}));
}

// The VMPL that counts is the one in the VMSA: what VMPL1 was not given faults for ever.
TEST(SnpOnMachine, AVmplIsHeldToItsPermissions) {
  GuestCode high;
  for (const u64 page : {0x1000, 0x2000, 0x3000, 0x4000, 0x8000}) {
    high.rmpadjust(static_cast<u32>(page), all_of_vmpl1);
  }
  high.rmpadjust(vmsa_at, make_vmsa);
  GuestCode rest = request_by_ghcb();
  high.bytes.insert(high.bytes.end(), rest.bytes.begin(), rest.bytes.end());
  high.ask(ghcb::encode(ghcb::RunVmplRequest{1})).halt();
  GuestCode low;
  low.increment(flag_at).forever();
  SnpGuestOnMachine t(high.bytes, 1,
                      {{vmsa_at, bytes_of(other_state(1))}, {other_code_at, low.bytes}},
                      {{ghcb_page_at, creation({0, 1, 0, ApRequest::create_on_init})}});
  const VmExit exit = t.vm->run(t.vm->now() + 10'000'000);
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit.exit)) << exit.exit.index();
  EXPECT_NE(std::get<NoProgressExit>(exit.exit).why.find("VMPL permission denied"),
            std::string::npos);
  EXPECT_EQ(t.vcpu->vmpl(), Vmpl::vmpl1);
}

}  // namespace
}  // namespace softsnp::kvm

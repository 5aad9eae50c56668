#include "guest/runtime/svsm_client.hpp"

#include <gtest/gtest.h>

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/svsm/page_list.hpp"
#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/svsm_validation.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

using svsm::CallingArea;
using svsm::ResultCode;

// A guest at VMPL2, and an SVSM with as much as its client needs.
struct World {
  World() {
    host.vmpl = Vmpl::vmpl2;
    host.svsm = [this](svsm::Registers& r) {
      ++calls;
      last = r;
      EXPECT_EQ(current->call_pending, CallingArea::call);
      const svsm::Registers in = r;
      r.rax = number(answer ? answer(r) : honest(r));
      current->call_pending = CallingArea::no_call;
      if (in.rax == number(svsm::CoreCall::remap_ca) && r.rax == 0) {
        current = reinterpret_cast<CallingArea*>(in.rcx);
        current->call_pending = CallingArea::no_call;
      }
    };
  }

  ResultCode honest(svsm::Registers& r) {
    switch (static_cast<svsm::CoreCall>(svsm::call_id_of(r.rax))) {
      case svsm::CoreCall::pvalidate:
        return pvalidate(r.rcx);
      case svsm::CoreCall::query_protocol:
        r.rcx =
            r.rcx == svsm::protocol_query(svsm::Protocol::vtpm, 1) ? 0 : svsm::version_range(1, 1);
        return ResultCode::success;
      default:
        return ResultCode::success;
    }
  }

  ResultCode pvalidate(u64 list) {
    auto* at = reinterpret_cast<u8*>(list);
    auto header = load_le<svsm::PageListHeader>(at);
    ResultCode result = ResultCode::success;
    for (; header.next < header.entries && result == ResultCode::success; ++header.next) {
      const auto entry = load_le<svsm::PageEntry>(at + 8 + 8 * header.next);
      const auto done =
          host.pvalidate(GuestVirtual(entry.page().value()), entry.size(), entry.validate());
      if (done.result != 0 || done.unchanged) {
        result = done.result != 0 ? svsm::instruction_failed(done.result) : svsm::fail_no_change;
        break;
      }
    }
    store_le(at, header);
    return result;
  }

  SimulatedHost host;
  SimulatedGuest guest{host};
  CallingArea* current = &host.object<CallingArea>(0x5000);
  std::function<ResultCode(svsm::Registers&)> answer;
  unsigned calls = 0;
  svsm::Registers last;
  SvsmClient client{host, *current, host.at(0x5000)};
};

TEST(SvsmClient, ComposesTheCallAndCarriesRegisters) {
  for (const bool by_ghcb : {false, true}) {
    World w;
    w.client.use_ghcb(by_ghcb ? &w.guest.ghcb : nullptr);
    w.host.write_msr(x86::msr::ghcb, w.host.at(SimulatedGuest::ghcb_offset).value());
    w.answer = [](svsm::Registers& r) {
      r.rcx = 10;
      r.rdx = 20;
      r.r8 = 30;
      r.r9 = 40;
      return ResultCode::success;
    };
    const auto result = w.client.call(svsm::VtpmCall::command, {0, 1, 2, 3, 4});
    ASSERT_TRUE(result.ok() && result->ok());
    EXPECT_EQ(w.last, (svsm::Registers{0x200000001, 1, 2, 3, 4}));
    EXPECT_EQ(result->registers, (svsm::Registers{0, 10, 20, 30, 40}));
    EXPECT_EQ(w.host.read_msr(x86::msr::ghcb), w.host.at(SimulatedGuest::ghcb_offset).value());
  }
}

TEST(SvsmClient, AsksAgain) {
  World w;
  w.answer = [&](svsm::Registers& r) {
    EXPECT_EQ(r.rax, number(svsm::CoreCall::deposit_mem));
    return w.calls == 1  ? ResultCode::busy
           : w.calls < 5 ? ResultCode::incomplete
                         : svsm::needs_memory(3);
  };
  const auto result = w.client.call(svsm::CoreCall::deposit_mem);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->code, svsm::needs_memory(3));
  EXPECT_EQ(w.calls, 5u);
}

// RAX of REMAP_CA is 0 on the way in: only the pending byte tells that nobody answered.
TEST(SvsmClient, NoticesACallThatNobodyAnswered) {
  for (const bool by_ghcb : {false, true}) {
    World w;
    w.client.use_ghcb(by_ghcb ? &w.guest.ghcb : nullptr);
    w.host.skip_svsm = [] { return true; };
    const auto result = w.client.call(svsm::CoreCall::remap_ca);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error(), Cause::svsm_call_failed);
    // Nothing is left that a late SVSM could take for a call.
    EXPECT_EQ(w.current->call_pending, CallingArea::no_call);
  }
}

TEST(SvsmClient, TransportAndResultAreTwoThings) {
  World w;
  w.host.lie_by_msr = [](u64, u64) { return u64{0x100000017}; };
  const auto by_msr = w.client.call(svsm::CoreCall::query_protocol);
  ASSERT_FALSE(by_msr.ok());
  EXPECT_EQ(by_msr.error(), Cause::unexpected_msr_answer);
  w.client.use_ghcb(&w.guest.ghcb);
  w.host.lie_by_page = [](const ghcb::Ghcb&, ghcb::Ghcb& page) { page.sw_exitinfo1 = 2; };
  const auto by_page = w.client.call(svsm::CoreCall::query_protocol);
  ASSERT_FALSE(by_page.ok());
  EXPECT_EQ(by_page.error(), Cause::host_error);
  w.host.lie_by_page = nullptr;
  w.answer = [](svsm::Registers&) { return ResultCode::unsupported_call; };
  const auto result = w.client.call(svsm::CoreCall::query_protocol);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->code, ResultCode::unsupported_call);
}

TEST(SvsmClient, MovesToAnotherCallingArea) {
  World w;
  auto& next = w.host.object<CallingArea>(0x6000);
  next.call_pending = 1;
  EXPECT_EQ(w.client.remap(next, w.host.at(0x6001)).error(), Cause::calling_area_misaligned);
  ASSERT_TRUE(w.client.remap(next, w.host.at(0x6000)).ok());
  EXPECT_EQ(w.current, &next);
  EXPECT_TRUE(w.client.create_vcpu(w.host.at(0x9000), w.host.at(0x7000), 3).ok());
  EXPECT_EQ(w.last,
            (svsm::Registers{2, w.host.at(0x9000).value(), w.host.at(0x7000).value(), 3, 0}));
  w.answer = [](svsm::Registers&) { return ResultCode::invalid_address; };
  EXPECT_EQ(w.client.remap(next, w.host.at(0x7000)).error(), Cause::calling_area_remap_failed);
  EXPECT_EQ(&w.client.area(), &next);
}

TEST(SvsmClient, Offers) {
  World w;
  EXPECT_TRUE(*w.client.offers(svsm::Protocol::attestation, 1));
  EXPECT_FALSE(*w.client.offers(svsm::Protocol::vtpm, 1));
}

TEST(SvsmValidation, InsteadOfTheInstruction) {
  World w;
  SvsmValidation validation(w.client);
  LatePageState late(w.guest.ghcb);
  NoPageMap map;
  MemoryConversion conversion(late, validation, map);
  // A large block of small RMP entries, and pages around it.
  const PageRange range{w.host.at(SimulatedGuest::large_offset) - 3 * page_size, 600};
  ASSERT_TRUE(conversion.make_shared(range).ok());
  for (u64 i = 0; i < range.pages; ++i) {
    ASSERT_FALSE(w.host.rmp(range.first + i * page_size).assigned) << i;
  }
  ASSERT_TRUE(conversion.make_private(range).ok());
  for (u64 i = 0; i < range.pages; ++i) {
    ASSERT_TRUE(w.host.rmp(range.first + i * page_size).validated) << i;
  }
  w.host.rmp(range.first + page_size).validated = false;
  const auto again = conversion.make_shared(range);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error(), Cause::double_validation);
  EXPECT_TRUE(w.host.rmp(range.first).validated);
}

TEST(FindSvsm, ChecksInLinuxsOrder) {
  psp::SecretsPage page{};
  EXPECT_EQ(find_svsm(page).error(), Cause::svsm_absent);
  page.svsm_size = 0x1000;
  page.svsm_caa = 0x5001;
  EXPECT_EQ(find_svsm(page).error(), Cause::svsm_claims_vmpl0);
  page.svsm_guest_vmpl = 2;
  EXPECT_EQ(find_svsm(page).error(), Cause::calling_area_misaligned);
  page.svsm_caa = 0x5000;
  EXPECT_EQ(find_svsm(page)->vmpl, Vmpl::vmpl2);
  page.svsm_guest_vmpl = 4;
  EXPECT_EQ(find_svsm(page).error(), Cause::secrets_page_bad);
}

TEST(FindSvsm, ProbeOfTheLevel) {
  SimulatedHost host;
  for (const Vmpl vmpl : {Vmpl::vmpl0, Vmpl::vmpl1, Vmpl::vmpl2}) {
    host.vmpl = vmpl;
    EXPECT_EQ(runs_at_vmpl0(host, GuestVirtual(host.at(0x1000).value())), vmpl == Vmpl::vmpl0);
  }
}

// SVSM sheet 11: levels other than 0 in the encodings.
TEST(RunVmpl, Encoding) {
  EXPECT_EQ(encode(ghcb::RunVmplRequest{3}), 0x300000016u);
}

}  // namespace
}  // namespace softsnp::guest

// A hypervisor that lies at random, by a seed: each request of the guest ends in data that is right
// as far as a guest can know, in an exception that it may pass on, or in a named termination. Many
// thousands of seeds; the event classes one by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "arch/svm/exit_code.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/ap_start.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/guest_messages.hpp"
#include "guest/runtime/negotiation.hpp"
#include "guest/runtime/page_tables.hpp"
#include "guest/runtime/svsm_client.hpp"
#include "tests/guest/runtime/fake_firmware.hpp"
#include "tests/guest/runtime/liar.hpp"

namespace softsnp::guest {
namespace {

class AllEncrypted final : public PageMap {
 public:
  Checked<void> set_encrypted(const PageRange&, bool encrypted) override {
    is_encrypted = encrypted;
    return {};
  }
  bool is_encrypted = true;
};

// After success the RMP says what the guest believes; a host that has not assigned a page is found
// out at PVALIDATE's nested fault, one that gave up a page early by its validation.
void conversion(PageSizes sizes, bool early_stage) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    SimulatedGuest guest(host);
    Liar liar(host, seed);
    LatePageState late(guest.ghcb);
    EarlyPageState early(host);
    DirectValidation validation(host, {});
    AllEncrypted map;
    PageStatePath& path = early_stage ? static_cast<PageStatePath&>(early) : late;
    MemoryConversion conversion(path, validation, map, sizes);
    const PageRange range{sizes == PageSizes::large_too ? host.at(SimulatedGuest::large_offset)
                                                        : host.at(SimulatedGuest::free_offset),
                          sizes == PageSizes::large_too ? 512u : 3u};
    const auto shared = conversion.make_shared(range);
    const auto back = shared ? conversion.make_private(range) : Checked<void>();
    tally.lies += liar.lies();
    if (!shared || !back) {
      const Cause cause = shared ? back.error() : shared.error();
      shared ? tally.failure(back) : tally.failure(shared);
      // Undone entirely, or named as what cannot be gone on from.
      if (cause != Cause::rollback_failed && !shared) {
        for (u64 i = 0; i < range.pages; ++i) {
          ASSERT_TRUE(host.rmp(range.first + i * page_size).validated) << seed;
        }
        ASSERT_TRUE(map.is_encrypted);
      }
      continue;
    }
    ++tally.right;
    for (u64 i = 0; i < range.pages; ++i) {
      const auto& page = host.rmp(range.first + i * page_size);
      ASSERT_TRUE(page.assigned && page.validated) << seed;
    }
    ASSERT_TRUE(map.is_encrypted);
  }
  tally.expect_both();
}

TEST(HostileHost, PageStateByPage) {
  conversion(PageSizes::small_only, false);
}
TEST(HostileHost, PageStateOfLargePages) {
  conversion(PageSizes::large_too, false);
}
TEST(HostileHost, PageStateByMsr) {
  conversion(PageSizes::small_only, true);
}

// What is claimed is the host's to claim; but the guest never goes on below what it needs.
TEST(HostileHost, NegotiationAndSetUp) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    Liar liar(host, seed);
    MsrProtocol msr(host);
    DirectValidation validation(host, {});
    AllEncrypted map;
    const auto protocol = negotiate(msr, snp_needs);
    if (!protocol) {
      tally.failure(protocol);
      continue;
    }
    ASSERT_EQ(protocol->version, 2);
    ASSERT_TRUE(protocol->has(ghcb::feature::sev_snp));
    GhcbSetup setup{host, validation, map};
    const auto ready = setup.run(host.object<ghcb::Ghcb>(0x3000), host.at(0x3000));
    tally.lies += liar.lies();
    if (!ready) {
      tally.failure(ready);
      continue;
    }
    ++tally.right;
    ASSERT_FALSE(map.is_encrypted);
    ASSERT_FALSE(host.rmp(host.at(0x3000)).validated);
  }
  tally.expect_both();
}

// --- #VC ---

struct Instruction {
  const char* name;
  svm::ExitCode code;
  std::vector<u8> bytes;
  u32 may_change;  // bit n: register n of the encoding
};

const Instruction instructions[] = {
    {"IN", svm::ExitCode::ioio, {0xED}, 1},
    {"OUT", svm::ExitCode::ioio, {0xEF}, 0},
    {"CPUID", svm::ExitCode::cpuid, {0x0F, 0xA2}, 0xF},
    {"RDMSR", svm::ExitCode::msr, {0x0F, 0x32}, 5},
    {"WRMSR", svm::ExitCode::msr, {0x0F, 0x30}, 0},
    {"RDTSC", svm::ExitCode::rdtsc, {0x0F, 0x31}, 5},
    {"RDTSCP", svm::ExitCode::rdtscp, {0x0F, 0x01, 0xF9}, 7},
    {"RDPMC", svm::ExitCode::rdpmc, {0x0F, 0x33}, 5},
    {"VMMCALL", svm::ExitCode::vmmcall, {0x0F, 0x01, 0xD9}, 1},
    {"WBINVD", svm::ExitCode::wbinvd, {0x0F, 0x09}, 0},
    {"DR7 write", svm::ExitCode::dr7_write, {0x0F, 0x23, 0xF8}, 0},
    {"MMIO read", svm::ExitCode::npf, {0x8B, 0x03}, 1},
    {"MMIO write", svm::ExitCode::npf, {0x89, 0x03}, 0},
    {"INS", svm::ExitCode::ioio, {0xF3, 0x6C}, 1 << 7 | 1 << 1},
    {"OUTS", svm::ExitCode::ioio, {0xF3, 0x6E}, 1 << 6 | 1 << 1},
};

class HostileVc : public testing::TestWithParam<Instruction> {};

// Registers that the instruction does not write, memory that it does not write, and RIP are as the
// processor would leave them, whatever the host says.
TEST_P(HostileVc, OnlyWhatTheInstructionChanges) {
  const Instruction& instruction = GetParam();
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    SimulatedGuest guest(host);
    host.build_page_tables(SimulatedGuest::tables_offset);
    PageTables tables(host, {}, {&host.object<PageTable>(0x20000), 4}, 51);
    ASSERT_TRUE(tables.set_encrypted({host.at(0x60000), 1}, false).ok());
    auto& page = host.object<psp::CpuidPage>(0x50000);
    page.count = 1;
    page.entries[0] = {1, 0, 0, 0, 0xA20F11, 0x00200800, 0x76FA320B, 0x178BFBFF};
    const auto table = CpuidTable::of(page);
    PagedMemory memory(host, {}, 51);
    VcState state{guest.ghcb, memory, &*table};
    Liar liar(host, seed);
    Frame frame{};
    frame.rax = 1;
    frame.rbx = host.at(0x60000).value();
    frame.rcx = 3;
    frame.rdx = 0x3F8;
    frame.rsi = host.at(0x41000).value();
    frame.rdi = host.at(0x42000).value();
    frame.r12 = 0x1212;
    frame.cs = 8;
    frame.rip = host.at(0x30000).value();
    frame.error = number(instruction.code);
    std::memcpy(host.memory() + 0x30000, instruction.bytes.data(), instruction.bytes.size());
    const Frame before = frame;
    const auto done = handle_vc(state, frame);
    tally.lies += liar.lies();
    Frame expected = before;
    if (done) {
      ++tally.right;
      expected.rip += instruction.bytes.size();
      u64 Frame::*const members[] = {&Frame::rax, &Frame::rcx, &Frame::rdx, &Frame::rbx,
                                     &Frame::rsp, &Frame::rbp, &Frame::rsi, &Frame::rdi};
      for (unsigned i = 0; i < 8; ++i) {
        if (has_bit(instruction.may_change, i)) {
          expected.*members[i] = frame.*members[i];
        }
      }
      if (instruction.code == svm::ExitCode::cpuid) {
        // Of the page, but for the APIC id and its enable bit.
        ASSERT_EQ(frame.rax, 0xA20F11u);
        ASSERT_EQ(frame.rbx & 0xFFFFFF, 0x00200800u);
        ASSERT_EQ(frame.rdx | 0x200, 0x178BFBFFu);
      }
    } else if (done.error().kind == Trouble::Kind::exception) {
      ++tally.exceptions;
      const Exception& e = done.error().exception;
      ASSERT_TRUE(e == (Exception{6, false, 0}) || (e.vector == 13 && e.has_error)) << seed;
    } else {
      tally.failure(Checked<void>(fail(done.error().cause)));
    }
    ASSERT_EQ(std::memcmp(&frame, &expected, sizeof frame), 0) << seed;
    // INS writes its three bytes, nobody writes more.
    for (u64 at = 0x42003; at < 0x42040; ++at) {
      ASSERT_EQ(host.memory()[at], 0);
    }
  }
  tally.expect_both();
  EXPECT_GT(tally.exceptions, 0u);
}
void PrintTo(const Instruction& i, std::ostream* out) {
  *out << i.name;
}

INSTANTIATE_TEST_SUITE_P(Events, HostileVc, testing::ValuesIn(instructions), [](const auto& info) {
  std::string text = info.param.name;
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
});

// --- services ---

// The right report, or the key is gone; never another one.
TEST(HostileHost, GuestMessages) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    SimulatedGuest guest(host);
    FakeFirmware firmware(host);
    firmware.certificate_pages = seed % 3;
    auto& secrets = host.object<psp::SecretsPage>(0x50000);
    std::memset(secrets.vmpck[0], FakeFirmware::key_byte, 32);
    GuestMessenger messenger(
        guest.ghcb, secrets, 0,
        {&host.object<u8>(0x51000), host.at(0x51000), &host.object<u8>(0x52000), host.at(0x52000),
         &host.object<u8>(0x53000), &host.object<u8>(0x54000), host.at(0x54000), 1},
        5);
    Liar liar(host, seed);
    liar.shared = {0x51000, 0x52000, 0x52000};
    for (unsigned turn = 0; turn < 3; ++turn) {
      psp::ReportRequest request{};
      request.report_data[0] = static_cast<u8>(turn + 1);
      psp::AttestationReport report{};
      const auto result = turn % 2 == 0 ? messenger.report(request, report)
                                        : messenger.extended_report(request, report);
      if (!result) {
        tally.failure(result);
        ASSERT_FALSE(messenger.usable()) << seed;
        // Nothing more is ever sealed with this key.
        const u64 exits = host.log.size();
        ASSERT_FALSE(messenger.report(request, report).ok());
        ASSERT_EQ(host.log.size(), exits);
        break;
      }
      const auto right = FakeFirmware::report_for(request);
      ASSERT_EQ(std::memcmp(&report, &right, sizeof right), 0) << seed;
      ++tally.right;
    }
    tally.lies += liar.lies();
  }
  tally.expect_both();
}

// What the SVSM itself has answered, or a failure.
TEST(HostileHost, SvsmCalls) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    SimulatedGuest guest(host);
    auto& area = host.object<svsm::CallingArea>(0x5000);
    u64 answers = 0;
    host.svsm = [&](svsm::Registers& r) {
      r = {0, ++answers, 2, 3, 4};
      area.call_pending = svsm::CallingArea::no_call;
    };
    Liar liar(host, seed);
    SvsmClient client(host, area, host.at(0x5000));
    client.use_ghcb(seed % 2 == 0 ? &guest.ghcb : nullptr);
    const auto result = client.call(svsm::CoreCall::remap_ca);
    tally.lies += liar.lies();
    ASSERT_EQ(area.call_pending, svsm::CallingArea::no_call);
    if (!result) {
      tally.failure(result);
      continue;
    }
    ++tally.right;
    ASSERT_EQ(answers, 1u);
    ASSERT_EQ(result->registers, (svsm::Registers{0, 1, 2, 3, 4}));
  }
  EXPECT_GT(tally.right, seeds / 20);
  EXPECT_GT(tally.refused, seeds / 20);
}

// A started vCPU's page is a save area; one that was refused is an ordinary page again.
TEST(HostileHost, ApStart) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    SimulatedGuest guest(host);
    Liar liar(host, seed);
    ApStarter starter(guest.ghcb, {});
    auto& vmsa = host.object<svm::Vmsa>(0x9000);
    fill_vmsa(vmsa, {Vmpl::vmpl0, 1}, RealModeStart{1});
    const auto result = starter.start(1, vmsa);
    tally.lies += liar.lies();
    result ? static_cast<void>(++tally.right) : tally.failure(result);
    ASSERT_EQ(host.rmp(host.at(0x9000)).vmsa, result.ok());
  }
  tally.expect_both();
}

// Both ends of the MSR protocol's CPUID: the value that was sent, or a failure.
TEST(HostileHost, EarlyCpuid) {
  Tally tally;
  for (u64 seed = 0; seed < seeds; ++seed) {
    SimulatedHost host;
    Liar liar(host, seed);
    EarlyHostCpuid early(host);
    const auto value = early.cpuid(1, 0);
    tally.lies += liar.lies();
    value ? static_cast<void>(++tally.right)
          : tally.failure(Checked<void>(fail(value.error().cause)));
  }
  tally.expect_both();
}

}  // namespace
}  // namespace softsnp::guest

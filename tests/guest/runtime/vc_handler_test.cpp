#include "guest/runtime/vc_handler.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "arch/svm/exit_code.hpp"
#include "arch/svsm/calling_area.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/page_tables.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

using svm::ExitCode;
using Code = std::vector<u8>;

// A guest that executes one instruction at a time.
struct World {
  static constexpr u64 code_offset = 0x30000, data_offset = 0x40000, device_offset = 0x60000;

  World() {
    host.build_page_tables(SimulatedGuest::tables_offset);
    EXPECT_TRUE(tables.set_encrypted({host.at(device_offset), 2}, false).ok());
    frame.cs = 0x10;
    frame.rflags = 2;
  }

  Handled<void> run(ExitCode error, const Code& code) {
    std::memcpy(host.memory() + code_offset, code.data(), code.size());
    frame.rip = host.at(code_offset).value();
    frame.error = number(error);
    length = code.size();
    return handle_vc(state, frame);
  }
  // Emulated, and RIP is behind it.
  void good(ExitCode error, const Code& code) {
    const auto done = run(error, code);
    ASSERT_TRUE(done.ok()) << (done.error().kind == Trouble::Kind::fatal ? name(done.error().cause)
                                                                         : "exception");
    EXPECT_EQ(frame.rip, host.at(code_offset).value() + length);
  }
  void fatal(ExitCode error, const Code& code, Cause cause) {
    const Frame before = frame;
    const auto done = run(error, code);
    ASSERT_FALSE(done.ok());
    ASSERT_EQ(done.error().kind, Trouble::Kind::fatal);
    EXPECT_EQ(name(done.error().cause), std::string(name(cause)));
    EXPECT_EQ(frame.rax, before.rax);
  }
  void raises(ExitCode error, const Code& code, Exception exception) {
    const auto done = run(error, code);
    ASSERT_FALSE(done.ok());
    ASSERT_EQ(done.error().kind, Trouble::Kind::exception);
    EXPECT_EQ(done.error().exception, exception);
    EXPECT_EQ(frame.rip, host.at(code_offset).value());
  }
  u64 at(u64 offset) { return host.at(offset).value(); }

  SimulatedHost host;
  SimulatedGuest guest{host};
  PageTables tables{host, {}, {&host.object<PageTable>(0x20000), 4}, 51};
  PagedMemory memory{host, {}, 51};
  VcState state{guest.ghcb, memory};
  Frame frame{};
  usize length = 0;
};

constexpr Exception gp{13, true, 0};

TEST(VcHandler, PortsOfAllSizes) {
  World w;
  w.frame.rdx = 0x3F8;
  w.frame.rax = 0x1122334455667788;
  w.good(ExitCode::ioio, {0xEE});
  w.good(ExitCode::ioio, {0x66, 0xEF});
  w.good(ExitCode::ioio, {0xE7, 0x80});
  EXPECT_EQ(w.host.port_output, (Code{0x88, 0x88, 0x77, 0x88, 0x77, 0x66, 0x55}));
  w.host.port_input = {1, 2, 3, 4, 5, 6, 7};
  w.good(ExitCode::ioio, {0xEC});
  EXPECT_EQ(w.frame.rax, 0x1122334455667701u);
  w.good(ExitCode::ioio, {0x66, 0xED});
  EXPECT_EQ(w.frame.rax, 0x1122334455660302u);
  w.good(ExitCode::ioio, {0xED});
  EXPECT_EQ(w.frame.rax, 0x07060504u);
}

// More than the shared buffer holds: the instruction traps once more.
TEST(VcHandler, StringOutputInChunks) {
  World w;
  Code text(3000);
  for (usize i = 0; i < text.size(); ++i) {
    text[i] = static_cast<u8>(i * 7);
  }
  std::memcpy(w.host.memory() + World::data_offset + 0xF00, text.data(), text.size());
  w.frame.rsi = w.at(World::data_offset + 0xF00);
  w.frame.rcx = text.size();
  ASSERT_TRUE(w.run(ExitCode::ioio, {0xF3, 0x6E}).ok());
  EXPECT_EQ(w.frame.rip, w.at(World::code_offset));
  EXPECT_EQ(w.frame.rcx, text.size() - 2032);
  w.good(ExitCode::ioio, {0xF3, 0x6E});
  EXPECT_EQ(w.host.port_output, text);
  EXPECT_EQ(w.frame.rcx, 0u);
  EXPECT_EQ(w.frame.rsi, w.at(World::data_offset + 0xF00) + text.size());
  w.good(ExitCode::ioio, {0xF3, 0x6E});  // RCX is 0
  EXPECT_EQ(w.host.log.size(), 2u);
}

TEST(VcHandler, StringInputBackwards) {
  World w;
  w.host.port_input = {1, 2, 3, 4, 5, 6};
  w.frame.rdi = w.at(World::data_offset + 4);
  w.frame.rcx = 3;
  w.frame.rflags |= x86::rflags::df;
  w.good(ExitCode::ioio, {0xF3, 0x66, 0x6D});
  EXPECT_EQ(w.frame.rdi, w.at(World::data_offset) - 2);
  const u8 expected[] = {5, 6, 3, 4, 1, 2};
  EXPECT_EQ(std::memcmp(w.host.memory() + World::data_offset, expected, 6), 0);
}

// Up to the page that is not mapped, then the fault.
TEST(VcHandler, StringUpToAPageFault) {
  World w;
  const u64 end = w.at(0) + SimulatedHost::memory_bytes;
  w.frame.rsi = end - 5;
  w.frame.rcx = 9;
  ASSERT_TRUE(w.run(ExitCode::ioio, {0xF3, 0x6E}).ok());
  EXPECT_EQ(w.frame.rcx, 4u);
  EXPECT_EQ(w.host.port_output.size(), 5u);
  w.raises(ExitCode::ioio, {0xF3, 0x6E}, {14, true, 0, end});
}

TEST(VcHandler, CpuidFromTheHostWithoutAPage) {
  World w;
  w.host.host_cpuid[7] = {1, 2, 3, 4};
  w.frame.rax = 0xFFFFFFFF00000007;
  w.good(ExitCode::cpuid, {0x0F, 0xA2});
  EXPECT_EQ(w.frame.rax, 1u);
  EXPECT_EQ(w.frame.rbx, 2u);
  EXPECT_EQ(w.frame.rcx, 3u);
  EXPECT_EQ(w.frame.rdx, 4u);
}

TEST(VcHandler, Msrs) {
  World w;
  w.frame.rcx = 0x277;
  w.frame.rax = 0xFFFFFFFF11111111;
  w.frame.rdx = 0x22222222;
  w.good(ExitCode::msr, {0x0F, 0x30});
  EXPECT_EQ(w.host.msrs[0x277], 0x2222222211111111u);
  w.host.msrs[0x277] = 0x3333333344444444;
  w.good(ExitCode::msr, {0x0F, 0x32});
  EXPECT_EQ(w.frame.rax, 0x44444444u);
  EXPECT_EQ(w.frame.rdx, 0x33333333u);
}

// SVSM sheet 1.2: answered here, never outside.
TEST(VcHandler, CallingAreaAndSvsmBit) {
  World w;
  w.state.has_svsm = true;
  w.state.calling_area = GuestPhysical(0x123456000);
  w.frame.rcx = svsm::calling_area_msr;
  w.good(ExitCode::msr, {0x0F, 0x32});
  EXPECT_EQ(w.frame.rdx << 32 | w.frame.rax, 0x123456000u);
  w.good(ExitCode::msr, {0x0F, 0x30});
  EXPECT_TRUE(w.host.log.empty());
  w.frame.rax = 0x8000001F;
  w.good(ExitCode::cpuid, {0x0F, 0xA2});
  EXPECT_EQ(w.frame.rax, u64{1} << 28);
}

TEST(VcHandler, CountersHypercallsAndNothings) {
  World w;
  w.good(ExitCode::rdtsc, {0x0F, 0x31});
  EXPECT_EQ(w.frame.rax, 1007u);
  w.good(ExitCode::rdtscp, {0x0F, 0x01, 0xF9});
  EXPECT_EQ(w.frame.rcx, 5u);
  w.good(ExitCode::rdpmc, {0x0F, 0x33});
  w.frame.rbx = 40;
  w.frame.rcx = 2;
  w.good(ExitCode::vmmcall, {0x0F, 0x01, 0xD9});
  EXPECT_EQ(w.frame.rax, 42u);
  w.good(ExitCode::wbinvd, {0x0F, 0x09});
  const usize exits = w.host.log.size();
  w.good(ExitCode::monitor, {0x0F, 0x01, 0xC8});
  w.good(ExitCode::mwait, {0x0F, 0x01, 0xC9});
  EXPECT_EQ(w.host.log.size(), exits);
  w.fatal(ExitCode::invd, {0x0F, 0x08}, Cause::vc_unsupported);
}

TEST(VcHandler, DebugRegister7) {
  World w;
  w.good(ExitCode::dr7_read, {0x0F, 0x21, 0xF8});
  EXPECT_EQ(w.frame.rax, 0x400u);
  w.frame.rax = 0x5003;
  w.good(ExitCode::dr7_write, {0x0F, 0x23, 0xF8});
  w.good(ExitCode::dr7_read, {0x0F, 0x21, 0xFB});
  EXPECT_EQ(w.frame.rbx, 0x403u);
  w.frame.rax = u64{1} << 32;
  w.raises(ExitCode::dr7_write, {0x0F, 0x23, 0xF8}, gp);
  w.fatal(ExitCode::dr7_read, {0x0F, 0x21, 0xF0}, Cause::vc_mismatch);  // DR6
  w.state.policy.debug_swap = true;
  w.fatal(ExitCode::dr7_read, {0x0F, 0x21, 0xF8}, Cause::vc_unsupported);
}

TEST(VcHandler, DeviceMemory) {
  World w;
  const u64 device = w.at(World::device_offset);
  w.host.devices[device + 8] = 0x8899AABBCCDDEEFF;
  w.frame.rbx = device;
  w.frame.rax = 0x1111111111111111;
  w.good(ExitCode::npf, {0x8B, 0x43, 0x08});  // mov 8(%rbx), %eax
  EXPECT_EQ(w.frame.rax, 0xCCDDEEFFu);
  w.good(ExitCode::npf, {0x48, 0x0F, 0xBE, 0x43, 0x08});  // movsbq
  EXPECT_EQ(w.frame.rax, ~u64{0});
  w.good(ExitCode::npf, {0x8A, 0x63, 0x08});  // mov 8(%rbx), %ah
  EXPECT_EQ(w.frame.rax, ~u64{0});
  w.good(ExitCode::npf, {0x66, 0xC7, 0x03, 0x34, 0x12});  // movw $0x1234, (%rbx)
  EXPECT_EQ(w.host.devices[device], 0x1234u);
  w.frame.rcx = 0x0123456789ABCDEF;
  w.good(ExitCode::npf, {0x48, 0x89, 0x4B, 0x10});
  EXPECT_EQ(w.host.devices[device + 16], 0x0123456789ABCDEFu);
  w.good(ExitCode::npf, {0x88, 0x2B});  // mov %ch, (%rbx)
  EXPECT_EQ(w.host.devices[device], 0xCDu);
  w.frame.rdi = device;
  w.frame.rax = 0x77;
  w.frame.rcx = 2;
  ASSERT_TRUE(w.run(ExitCode::npf, {0xF3, 0xAA}).ok());
  w.good(ExitCode::npf, {0xF3, 0xAA});
  EXPECT_EQ(w.host.devices[device + 1], 0x77u);
  EXPECT_EQ(w.frame.rdi, device + 2);
}

TEST(VcHandler, DeviceMemoryRefused) {
  World w;
  w.frame.rbx = w.at(World::data_offset);
  w.fatal(ExitCode::npf, {0x8B, 0x03}, Cause::mmio_of_private_page);
  w.fatal(ExitCode::npf, {0x89, 0x03}, Cause::mmio_of_private_page);
  w.frame.rbx = w.at(World::device_offset) + page_size - 2;
  w.fatal(ExitCode::npf, {0x8B, 0x03}, Cause::vc_unsupported);
  w.fatal(ExitCode::npf, {0x01, 0x03}, Cause::vc_unsupported);  // add
  w.frame.rbx = 0x5000;
  w.raises(ExitCode::npf, {0x8B, 0x03}, {14, true, 0, 0x5000});
  EXPECT_TRUE(w.host.log.empty());
}

// A hypervisor that injects #VC where it likes: the instruction must have this exit code.
TEST(VcHandler, CodesThatDoNotFit) {
  World w;
  for (const ExitCode code : {ExitCode::cpuid, ExitCode::msr, ExitCode::rdtsc, ExitCode::wbinvd,
                              ExitCode::vmmcall, ExitCode::dr7_write, ExitCode::ioio}) {
    w.fatal(code, {0x0F, 0x01, 0xF9}, Cause::vc_mismatch);  // RDTSCP
    w.fatal(code, {0x90}, Cause::vc_mismatch);
    w.fatal(code, {0x50}, Cause::vc_mismatch);
  }
  w.fatal(static_cast<ExitCode>(0x1234), {0x0F, 0xA2}, Cause::vc_mismatch);
  EXPECT_TRUE(w.host.log.empty());
}

// GHCB sheet 1.6.
TEST(VcHandler, ExceptionsOfTheHost) {
  struct Row {
    u64 info1, info2;
    bool forwarded;
    Exception exception;
  };
  const Row rows[] = {{1, 0x80000B0D, true, gp},
                      {1, 0x8000030D, true, gp},
                      {1, 0x80000306, true, {6, false, 0}},
                      {1, 0x123480000B0D, true, {13, true, 0x1234}},
                      {1, 0x80000B0E, false, {}},  // #PF
                      {1, 0x0000030D, false, {}},  // not valid
                      {1, 0x8000020D, false, {}},  // an NMI
                      {1, 0x8000031D, false, {}},  // #VC
                      {2, 5, false, {}},
                      {77, 0, false, {}}};
  for (const Row& row : rows) {
    World w;
    w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
      answer.sw_exitinfo1 = row.info1;
      answer.sw_exitinfo2 = row.info2;
    };
    if (row.forwarded) {
      w.raises(ExitCode::msr, {0x0F, 0x32}, row.exception);
    } else {
      w.fatal(ExitCode::msr, {0x0F, 0x32},
              row.info1 == 1 ? Cause::inadmissible_exception : Cause::host_error);
    }
  }
}

TEST(VcHandler, ResultsNeedTheirValidBits) {
  for (const unsigned missing :
       {ghcb::field::rax, ghcb::field::rdx, ghcb::field::sw_exitinfo1, ghcb::field::sw_exitinfo2}) {
    World w;
    w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
      ghcb::ValidBitmap bits = answer.valid_bitmap;
      bits.clear(missing);
      answer.valid_bitmap = bits;
    };
    w.fatal(ExitCode::msr, {0x0F, 0x32}, Cause::answer_incomplete);
  }
}

TEST(VcHandler, UserCodeGetsExceptionsAndNothingElse) {
  World w;
  w.frame.cs = 0x33;
  // Its pages: let the tables allow everything.
  for (const auto& [offset, entries] :
       {std::pair{SimulatedGuest::tables_offset, 3 * 512}, std::pair{u64{0x20000}, 4 * 512}}) {
    u64* table = &w.host.object<u64>(offset);
    for (int i = 0; i < entries; ++i) {
      table[i] |= table[i] != 0 ? x86::pte::user : 0;
    }
  }
  w.raises(ExitCode::ioio, {0xEC}, gp);
  w.raises(ExitCode::vmmcall, {0x0F, 0x01, 0xD9}, {6, false, 0});
  w.frame.rbx = w.at(World::device_offset);
  w.raises(ExitCode::npf, {0x8B, 0x03}, gp);
  w.raises(ExitCode::cpuid, {0x90}, gp);  // would be fatal for the kernel
  EXPECT_TRUE(w.host.log.empty());
  w.good(ExitCode::cpuid, {0x0F, 0xA2});
  w.good(ExitCode::rdtsc, {0x0F, 0x31});
  w.state.policy.user_ports = true;
  w.good(ExitCode::ioio, {0xEC});
}

TEST(VcHandler, InterceptedExceptions) {
  World w;
  w.raises(ExitCode::exception_db, {0x90}, {1, false, 0});
  w.raises(ExitCode::exception_ac, {0x90}, {17, true, 0});
}

TEST(VcHandler, PageNotValidated) {
  World w;
  w.host.cr2 = w.at(SimulatedGuest::large_offset) + 0x1234;
  w.fatal(ExitCode::page_not_validated, {0x90}, Cause::page_not_validated);
  for (u64 i = 0; i < 512; ++i) {
    w.host.rmp(w.host.at(SimulatedGuest::large_offset + i * page_size)).validated = false;
  }
  u64 bits[] = {1};
  LatePageState path(w.guest.ghcb);
  DirectValidation validation(w.host, {});
  LazyAcceptance lazy(path, validation, w.host.at(SimulatedGuest::large_offset), bits);
  w.state.acceptance = &lazy;
  ASSERT_TRUE(w.run(ExitCode::page_not_validated, {0x90}).ok());
  EXPECT_EQ(w.frame.rip, w.at(World::code_offset));  // executed again
  w.fatal(ExitCode::page_not_validated, {0x90}, Cause::page_not_validated);
}

// A request of an exception's handler within a request: the outer one's answer survives.
TEST(VcHandler, Nested) {
  World w;
  w.host.msrs[0x277] = 0x1234;
  int depth = 0;
  w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb&) {
    const int level = ++depth;
    VcState inner{w.guest.ghcb, w.memory};
    Frame frame{};
    frame.rip = w.at(World::code_offset + 0x100);
    frame.error = number(ExitCode::rdtsc);
    std::memcpy(w.host.memory() + World::code_offset + 0x100, "\x0F\x31", 2);
    const auto done = handle_vc(inner, frame);
    // Twice is the limit: one page and one backup.
    if (level == 1) {
      EXPECT_TRUE(done.ok());
    } else {
      ASSERT_FALSE(done.ok());
      EXPECT_EQ(done.error().cause, Cause::vc_nested_too_deep);
    }
  };
  w.frame.rcx = 0x277;
  w.good(ExitCode::msr, {0x0F, 0x32});
  EXPECT_EQ(w.frame.rax, 0x1234u);
  EXPECT_EQ(depth, 2);
}

// What is left behind cannot be sent again by user code, which may execute VMGEXIT.
TEST(VcHandler, LeavesNothingToReplay) {
  World w;
  w.good(ExitCode::wbinvd, {0x0F, 0x09});
  EXPECT_EQ(u64{w.guest.ghcb.page().sw_exitcode}, 0u);
  const ghcb::ValidBitmap bits = w.guest.ghcb.page().valid_bitmap;
  EXPECT_EQ(bits, ghcb::ValidBitmap{});
}

}  // namespace
}  // namespace softsnp::guest

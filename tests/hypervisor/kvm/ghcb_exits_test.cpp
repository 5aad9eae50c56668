// VMGEXIT end to end: what the guest writes, what the VMM sees, what the guest reads.
#include <gtest/gtest.h>

#include "arch/ghcb/page_state_change.hpp"
#include "arch/ghcb/response.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {
namespace field = ghcb::field;
using ghcb::Event;
using ghcb::Malformed;

bool is_shutdown(const KvmExit& exit) {
  return std::holds_alternative<ShutdownExit>(exit);
}
u64 code(Malformed error) {
  return static_cast<u64>(error);
}

TEST(GhcbMsr, AnswersOfTheKernel) {
  SnpVm t;
  EXPECT_TRUE(is_shutdown(t.msr_exit(0x002)));
  EXPECT_EQ(t.msr, 0x0002000133000001u);
  t.msr_exit(0x080);
  EXPECT_EQ(t.msr, 0x33081u) << "SEV-SNP, AP creation, APIC ID list, multi-VMPL";
  t.msr_exit(0x010);
  EXPECT_EQ(t.msr, 0xFFFFFFFFFFFFF011u);
  t.msr_exit(0x12345012);
  EXPECT_EQ(t.msr, 0x12345013u);
  t.msr_exit(0x016);
  EXPECT_EQ(t.msr, 0x017u) << "the VMPL that runs already";
  t.msr_exit(0xABC0F3);
  EXPECT_EQ(t.msr, 0xABC0F3u);
}

TEST(GhcbMsr, TheResetValueIsTheSevInformation) {
  SnpVm t;
  EXPECT_TRUE(is_shutdown(t.finish()));
  EXPECT_EQ(t.msr, 0x0002000133000001u);
}

TEST(GhcbMsr, CpuidGivesTheRegisterAskedFor) {
  SnpVm t;
  t.msr_exit(ghcb::encode(ghcb::CpuidRequest{0x8000001F, ghcb::CpuidRegister::eax}));
  EXPECT_EQ(t.msr, u64{0x41A} << 32 | 0x005);
  t.msr_exit(ghcb::encode(ghcb::CpuidRequest{0x8000001F, ghcb::CpuidRegister::ebx}));
  EXPECT_EQ(t.msr, u64{51 | 1 << 6} << 32 | u64{1} << 30 | 0x005);
  t.msr_exit(ghcb::encode(ghcb::CpuidRequest{0x12345, ghcb::CpuidRegister::edx}));
  EXPECT_EQ(t.msr, u64{3} << 30 | 0x005);
}

TEST(GhcbMsr, PageStateChangeAsksTheVmm) {
  SnpVm t;
  const u64 to_shared = ghcb::encode(ghcb::PageStateChangeRequest{GuestPhysical(0x5000), 2});
  KvmExit exit = t.msr_exit(to_shared);
  ASSERT_TRUE(std::holds_alternative<HypercallExit>(exit));
  EXPECT_EQ(std::get<HypercallExit>(exit).nr, 12u);
  EXPECT_EQ(std::get<HypercallExit>(exit).args, (std::array<u64, 3>{0x5000, 1, 0}));
  t.vcpu->complete_hypercall(0);
  EXPECT_TRUE(is_shutdown(t.vcpu->run(far_deadline)));
  EXPECT_EQ(t.msr, 0x15u);
  const u64 to_private = ghcb::encode(ghcb::PageStateChangeRequest{GuestPhysical(0x6000), 1});
  exit = t.msr_exit(to_private);
  EXPECT_EQ(std::get<HypercallExit>(exit).args, (std::array<u64, 3>{0x6000, 1, 0x10}));
  t.vcpu->complete_hypercall(22);
  t.vcpu->run(far_deadline);
  EXPECT_EQ(t.msr, 0x8000000000000015u);
  t.msr_exit(ghcb::encode(ghcb::PageStateChangeRequest{GuestPhysical(0x6000), 3}));
  EXPECT_EQ(t.msr, 0x8000000000000015u) << "another operation";
}

TEST(GhcbMsr, Termination) {
  SnpVm t;
  const KvmExit exit = t.msr_exit(0x41100);
  ASSERT_TRUE(std::holds_alternative<TerminationExit>(exit));
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_set, 1u);
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_code, 4u);
}

TEST(GhcbMsr, ResetHoldWithoutAnotherVcpuIsNamed) {
  SnpVm t;
  const KvmExit exit = t.msr_exit(0x006);
  ASSERT_TRUE(std::holds_alternative<NoProgressExit>(exit));
}

TEST(GhcbPageProtocol, UnregisteredGhcbEndsTheVm) {
  SnpVm t;
  const KvmExit exit = t.page_exit(event_page(Event::wbinvd));
  ASSERT_TRUE(std::holds_alternative<InternalErrorExit>(exit));
  EXPECT_EQ(std::get<InternalErrorExit>(exit).error, EINVAL);
}

TEST(GhcbPageProtocol, GhcbThatIsNotSharedMemoryIsIgnored) {
  SnpVm t;
  for (const u64 gpa : {u64{0}, u64{0x3000}, u64{0x7FFFF000}, ~u64{0xFFF}}) {
    t.port.script.clear();
    EXPECT_TRUE(is_shutdown(t.msr_exit(gpa))) << gpa;
    EXPECT_EQ(t.msr, gpa);
  }
}

struct BadRequest {
  const char* what;
  ghcb::Ghcb page;
  Malformed expected;
};

std::vector<BadRequest> bad_requests() {
  std::vector<BadRequest> rows;
  const auto add = [&rows](const char* what, Malformed expected, ghcb::Ghcb page) {
    rows.push_back({what, page, expected});
  };
  ghcb::Ghcb page = event_page(Event::wbinvd);
  page.usage = 1;
  add("usage", Malformed::invalid_usage, page);
  page = event_page(Event::wbinvd);
  page.valid_bitmap.clear(field::sw_exitinfo2);
  add("no EI2", Malformed::missing_input, page);
  add("CPUID without registers", Malformed::missing_input, event_page(Event::cpuid));
  add("unknown", Malformed::invalid_event, event_page(static_cast<Event>(0x8000ABCD)));
  add("#HV timer", Malformed::invalid_event, event_page(Event::hv_timer, 1));
  add("AP creation without RAX", Malformed::missing_input, event_page(Event::ap_creation, 1));
  add("APIC ids without RAX", Malformed::missing_input, event_page(Event::apic_id_list));
  add("jump table", Malformed::invalid_input, event_page(Event::ap_jump_table, 2));
  page = event_page(Event::ioio, 0x03F80000 | 3 << 4);
  page.valid_bitmap.set(field::rax);
  add("I/O of three bytes", Malformed::invalid_input, page);
  page = event_page(Event::mmio_read, 0xFEC00000, 9);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(field::sw_scratch);
  add("MMIO of nine bytes", Malformed::invalid_input, page);
  page.sw_exitinfo2 = 8;
  page.sw_scratch = ghcb_at.value() + 0xFEC;
  add("MMIO past the buffer", Malformed::invalid_scratch_area, page);
  page.sw_scratch = 0x1000;
  add("scratch outside", Malformed::invalid_scratch_area, page);
  page = event_page(Event::ioio, 0x03F80000 | 1 << 4 | 1 << 2, 2033);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(field::sw_scratch);
  add("string longer than the buffer", Malformed::invalid_scratch_area, page);
  page = event_page(Event::page_state_change);
  page.sw_scratch = ghcb_at.value() + 0xFEC;
  page.valid_bitmap.set(field::sw_scratch);
  add("PSC header past the buffer", Malformed::invalid_scratch_area, page);
  add("guest request, same pages", Malformed::missing_input,
      event_page(Event::guest_request, 0x200000, 0x200000));
  return rows;
}

TEST(GhcbPageProtocol, MalformedRequestsGetTheirCodeAndTheGuestRunsOn) {
  SnpVm t;
  t.register_ghcb();
  for (const BadRequest& row : bad_requests()) {
    SCOPED_TRACE(row.what);
    EXPECT_TRUE(is_shutdown(t.page_exit(row.page)));
    t.expect_answer(2, code(row.expected));
  }
}

TEST(GhcbPageProtocol, CpuidMsrAndVmmcall) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(Event::cpuid);
  page.rax = 0x40000000;
  page.valid_bitmap.set(field::rax);
  page.valid_bitmap.set(field::rcx);
  EXPECT_TRUE(is_shutdown(t.page_exit(page)));
  t.expect_answer(0, 0);
  EXPECT_EQ(t.page().rax, 0x40000001u);
  EXPECT_EQ(t.page().rbx, 0x4B4D564Bu);

  page = event_page(Event::msr);
  page.rcx = 0xFE;
  page.valid_bitmap.set(field::rcx);
  t.page_exit(page);
  t.expect_answer(0, 0);
  EXPECT_EQ(t.page().rax, 0x508u);
  page.rcx = 0xC0012345;
  t.page_exit(page);
  t.expect_answer(1, ghcb::raise_gp);

  page = event_page(Event::vmmcall);
  page.rax = 12;
  page.valid_bitmap.set(field::rax);
  page.valid_bitmap.set(field::cpl);
  t.page_exit(page);
  EXPECT_EQ(t.page().rax, static_cast<u64>(-1000));
  page.cpl = 3;
  t.page_exit(page);
  EXPECT_EQ(t.page().rax, static_cast<u64>(-1));

  t.page_exit(event_page(Event::features));
  t.expect_answer(0, 0x33);
  t.page_exit(event_page(Event::ap_jump_table, 0, 0x9000));
  t.page_exit(event_page(Event::ap_jump_table, 1, 0));
  t.expect_answer(0, 0x9000);
}

TEST(GhcbPageProtocol, PortIo) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(Event::ioio, 0x03F80000 | 1 << 4);
  page.rax = 0x141;
  page.valid_bitmap.set(field::rax);
  KvmExit exit = t.page_exit(page);
  ASSERT_TRUE(std::holds_alternative<IoExit>(exit));
  EXPECT_FALSE(std::get<IoExit>(exit).in);
  EXPECT_EQ(std::get<IoExit>(exit).port, 0x3F8);
  EXPECT_EQ(std::get<IoExit>(exit).data, (std::vector<u8>{0x41}));
  EXPECT_TRUE(is_shutdown(t.vcpu->run(far_deadline)));
  t.expect_answer(0, 0);

  page = event_page(Event::ioio, 0x00710000 | 1 << 5 | 1);
  page.rax = 0xAAAAAAAA;
  page.valid_bitmap.set(field::rax);
  t.port.script.clear();
  exit = t.page_exit(page);
  ASSERT_TRUE(std::get<IoExit>(exit).in);
  EXPECT_EQ(std::get<IoExit>(exit).size, 2);
  const u8 answer[] = {0x34, 0x12};
  t.vcpu->complete_io(answer);
  t.vcpu->run(far_deadline);
  EXPECT_EQ(t.page().rax, 0xAAAA1234u) << "two bytes are merged into what the guest sent";
}

TEST(GhcbPageProtocol, StringIo) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(Event::ioio, 0x03F80000 | 1 << 5 | 1 << 2, 3);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(field::sw_scratch);
  for (u8 i = 0; i < 6; ++i) {
    page.shared_buffer.at[i] = static_cast<u8>(i + 1);
  }
  KvmExit exit = t.page_exit(page);
  EXPECT_EQ(std::get<IoExit>(exit).count, 3u);
  EXPECT_EQ(std::get<IoExit>(exit).data, (std::vector<u8>{1, 2, 3, 4, 5, 6}));
  t.vcpu->run(far_deadline);
  page.sw_exitinfo1 |= 1;
  t.port.script.clear();
  t.page_exit(page);
  t.vcpu->complete_io(std::vector<u8>{9, 8, 7, 6, 5, 4});
  t.vcpu->run(far_deadline);
  EXPECT_EQ(t.page().shared_buffer.at[0], 9);
  EXPECT_EQ(t.page().shared_buffer.at[5], 4);
  page.sw_exitinfo2 = 0x80000000;
  t.port.script.clear();
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.page_exit(page)));
}

TEST(GhcbPageProtocol, MmioGoesOutAndTheLapicStaysInside) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(Event::mmio_write, 0xFEC00010, 4);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(field::sw_scratch);
  page.shared_buffer.at[1] = 0x77;
  KvmExit exit = t.page_exit(page);
  ASSERT_TRUE(std::holds_alternative<MmioExit>(exit));
  EXPECT_TRUE(std::get<MmioExit>(exit).write);
  EXPECT_EQ(std::get<MmioExit>(exit).address, GuestPhysical(0xFEC00010));
  EXPECT_EQ(std::get<MmioExit>(exit).data[1], 0x77);
  t.vcpu->run(far_deadline);

  page.sw_exitcode = number(Event::mmio_read);
  t.port.script.clear();
  t.page_exit(page);
  const u8 answer[] = {1, 2, 3, 4};
  t.vcpu->complete_mmio(answer);
  t.vcpu->run(far_deadline);
  EXPECT_EQ(t.page().shared_buffer.at[3], 4);

  page.sw_exitinfo1 = 0xFEE00030;
  t.port.script.clear();
  EXPECT_TRUE(is_shutdown(t.page_exit(page))) << "the local APIC needs no VMM";
  EXPECT_EQ(t.page().shared_buffer.at[0], 0x14);
}

TEST(GhcbPageProtocol, PageStateChangeInRuns) {
  SnpVm t;
  t.register_ghcb();
  ghcb::Ghcb page = event_page(Event::page_state_change);
  page.sw_scratch = ghcb_at.value() + 0x800;
  page.valid_bitmap.set(field::sw_scratch);
  const ghcb::PageStateHeader header{0, 2, 0};
  store_le(page.shared_buffer.at, header);
  using ghcb::PageStateEntry;
  const PageStateEntry entries[] = {
      PageStateEntry::make(GuestPhysical(0x1000), ghcb::PageOperation::make_shared,
                           PageSize::size_4k),
      PageStateEntry::make(GuestPhysical(0x2000), ghcb::PageOperation::make_shared,
                           PageSize::size_4k),
      PageStateEntry::make(GuestPhysical(0x400000), ghcb::PageOperation::make_private,
                           PageSize::size_2m)};
  for (usize i = 0; i < 3; ++i) {
    store_le(page.shared_buffer.at + 8 + 8 * i, entries[i]);
  }
  KvmExit exit = t.page_exit(page);
  EXPECT_EQ(std::get<HypercallExit>(exit).args, (std::array<u64, 3>{0x1000, 2, 0}));
  // The guest changes its list meanwhile: the copy counts.
  ASSERT_TRUE(t.vm->write_shared(ghcb_at + 0x818, std::vector<u8>(8, 0xFF)).ok());
  t.vcpu->complete_hypercall(0);
  exit = t.vcpu->run(far_deadline);
  EXPECT_EQ(std::get<HypercallExit>(exit).args, (std::array<u64, 3>{0x400000, 512, 0x11}));
  t.vcpu->complete_hypercall(0);
  EXPECT_TRUE(is_shutdown(t.vcpu->run(far_deadline)));
  t.expect_answer(0, 0);
  const ghcb::Ghcb after = t.page();
  EXPECT_EQ(load_le<u16>(after.shared_buffer.at), 3);
  EXPECT_EQ(load_le<u64>(after.shared_buffer.at + 24) & 0xFFF, 512u);

  t.port.script.clear();
  t.page_exit(page);
  t.vcpu->complete_hypercall(5);
  t.vcpu->run(far_deadline);
  t.expect_answer(0, 0x10000000000);
  EXPECT_EQ(load_le<u16>(t.page().shared_buffer.at), 0) << "nothing was done";
}

TEST(GhcbPageProtocol, TerminationEventHasItsOwnFields) {
  SnpVm t;
  t.register_ghcb();
  const KvmExit exit = t.page_exit(event_page(Event::termination, 0x20, 0x80));
  ASSERT_TRUE(std::holds_alternative<TerminationExit>(exit));
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_set, 0u);
  EXPECT_EQ(std::get<TerminationExit>(exit).reason_code, 2u);
  EXPECT_EQ(std::get<TerminationExit>(exit).extra, 0x80u);
}

TEST(GhcbPageProtocol, EventsThatInjectOrEnd) {
  SnpVm t;
  t.register_ghcb();
  t.page_exit(event_page(Event::rdtscp));
  EXPECT_EQ(t.injected, ghcb::raise_ud);
  t.page_exit(event_page(Event::wbinvd));
  EXPECT_EQ(t.injected, 0u);
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.page_exit(event_page(Event::rdtsc))));
  SnpVm other;
  other.register_ghcb();
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(
      other.page_exit(event_page(Event::unsupported, 7))));
}

}  // namespace
}  // namespace softsnp::kvm

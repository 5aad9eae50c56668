#include "hypervisor/kvm/ghcb_request.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

#include "hypervisor/kvm/scratch_area.hpp"

namespace softsnp::kvm {
namespace {
namespace field = ghcb::field;
using ghcb::Event;
using ghcb::Malformed;

GhcbRequest make(u64 code, std::initializer_list<unsigned> fields) {
  GhcbRequest r;
  r.exit_code = code;
  for (const unsigned f : {field::sw_exitcode, field::sw_exitinfo1, field::sw_exitinfo2}) {
    r.valid.set(f);
  }
  for (const unsigned f : fields) {
    r.valid.set(f);
  }
  return r;
}

struct Row {
  Event event;
  u64 info1, info2;
  std::initializer_list<unsigned> needed;
};

// GHCB sheet 3.1, 3.2, 3.3, 3.4: "must be valid".
const Row rows[] = {
    {Event::dr7_read, 0, 0, {}},
    {Event::dr7_write, 0, 0, {field::rax}},
    {Event::rdtsc, 0, 0, {}},
    {Event::rdpmc, 0, 0, {field::rcx}},
    {Event::cpuid, 0, 0, {field::rax, field::rcx}},
    {Event::invd, 0, 0, {}},
    {Event::ioio, 0x03F80010, 0, {field::rax}},
    {Event::ioio, 0x03F80011, 0, {}},
    {Event::ioio, 0x03F80014, 4, {field::sw_scratch}},
    {Event::ioio, 0x03F80015, 4, {field::sw_scratch}},
    {Event::msr, 0, 0, {field::rcx}},
    {Event::msr, 1, 0, {field::rcx, field::rax, field::rdx}},
    {Event::vmmcall, 0, 0, {field::rax, field::cpl}},
    {Event::rdtscp, 0, 0, {}},
    {Event::wbinvd, 0, 0, {}},
    {Event::monitor, 0, 0, {field::rax, field::rcx, field::rdx}},
    {Event::mwait, 0, 0, {field::rax, field::rcx}},
    {Event::mmio_read, 0xFEC00000, 4, {field::sw_scratch}},
    {Event::mmio_write, 0xFEC00000, 4, {field::sw_scratch}},
    {Event::nmi_complete, 0, 0, {}},
    {Event::ap_reset_hold, 0, 0, {}},
    {Event::ap_jump_table, 1, 0, {}},
    {Event::page_state_change, 0, 0, {field::sw_scratch}},
    {Event::guest_request, 0x1000, 0x2000, {}},
    {Event::extended_guest_request, 0x1000, 0x2000, {}},
    {Event::features, 0, 0, {}},
    {Event::termination, 0, 0, {}},
    {Event::hv_doorbell_page, 0, 0, {}},
    {Event::hv_ipi, 0, 0, {}},
    {Event::hv_timer, 0, 0, {}},
    {Event::configure_injection, 0, 0, {}},
    {Event::disable_alternate_injection, 0, 0, {}},
    {Event::specific_eoi, 0, 0, {}},
    {Event::unsupported, 0x41, 0, {}},
};

TEST(GhcbRequest, EachEventNeedsExactlyItsFields) {
  for (const Row& row : rows) {
    GhcbRequest r = make(number(row.event), row.needed);
    r.exit_info1 = row.info1;
    r.exit_info2 = row.info2;
    EXPECT_EQ(check_request(r, GuestKind::snp), std::nullopt) << name(row.event);
    for (const unsigned missing : row.needed) {
      GhcbRequest without = r;
      without.valid.clear(missing);
      EXPECT_EQ(check_request(without, GuestKind::snp), Malformed::missing_input)
          << name(row.event) << " without " << missing;
    }
    for (const unsigned always : {field::sw_exitcode, field::sw_exitinfo1, field::sw_exitinfo2}) {
      GhcbRequest without = r;
      without.valid.clear(always);
      EXPECT_EQ(check_request(without, GuestKind::snp), Malformed::missing_input);
    }
    GhcbRequest extra = r;
    extra.valid.high |= bit(62) | bit(63);  // 126 and 127, which COCONUT sets
    EXPECT_EQ(check_request(extra, GuestKind::snp), std::nullopt);
  }
}

TEST(GhcbRequest, LeafDNeedsXcr0) {
  GhcbRequest r = make(number(Event::cpuid), {field::rax, field::rcx});
  r.rax = 0xD;
  EXPECT_EQ(check_request(r, GuestKind::snp), Malformed::missing_input);
  r.valid.set(field::xcr0);
  EXPECT_EQ(check_request(r, GuestKind::snp), std::nullopt);
}

TEST(GhcbRequest, SnpOnlyEventsAreMissingInputElsewhere) {
  for (const Event event : {Event::page_state_change, Event::guest_request, Event::hv_doorbell_page,
                            Event::hv_ipi, Event::specific_eoi}) {
    GhcbRequest r = make(number(event), {field::sw_scratch});
    r.exit_info1 = 0x1000;
    r.exit_info2 = 0x2000;
    EXPECT_EQ(check_request(r, GuestKind::sev_es), Malformed::missing_input);
    EXPECT_EQ(check_request(r, GuestKind::snp), std::nullopt);
  }
}

TEST(GhcbRequest, GuestRequestPagesAreAlignedAndDistinct) {
  const std::pair<u64, u64> bad[] = {{0x1001, 0x2000}, {0x1000, 0x2FFF}, {0x1000, 0x1000}};
  for (const auto& [request, response] : bad) {
    GhcbRequest r = make(number(Event::guest_request), {});
    r.exit_info1 = request;
    r.exit_info2 = response;
    EXPECT_EQ(check_request(r, GuestKind::snp), Malformed::missing_input);
  }
}

TEST(GhcbRequest, UnknownEventsAreInvalid) {
  for (const u64 code : {u64{0}, u64{0x10}, u64{0x78}, u64{0x403}, u64{0x80000000}, u64{0x80000019},
                         u64{0x8000001E}, u64{0x100000072}, ~u64{0}}) {
    EXPECT_EQ(check_request(make(code, {}), GuestKind::snp), Malformed::invalid_event) << code;
  }
}

TEST(GhcbRequest, EventsOfSnpGuestsNeedTheirRegisters) {
  const u64 creation = number(Event::ap_creation), ids = number(Event::apic_id_list);
  GhcbRequest create = make(creation, {});
  create.exit_info1 = 1;
  EXPECT_EQ(check_request(create, GuestKind::snp), Malformed::missing_input);
  create.exit_info1 = 0x1'0000'0002;
  EXPECT_EQ(check_request(create, GuestKind::snp), std::nullopt) << "destroy needs no RAX";
  EXPECT_EQ(check_request(make(creation, {field::rax}), GuestKind::snp), std::nullopt);
  EXPECT_EQ(check_request(make(ids, {}), GuestKind::snp), Malformed::missing_input);
  EXPECT_EQ(check_request(make(ids, {field::rax}), GuestKind::snp), std::nullopt);
  for (const u64 code : {creation, ids, number(Event::run_vmpl)}) {
    EXPECT_EQ(check_request(make(code, {field::rax}), GuestKind::sev_es), Malformed::missing_input);
  }
}

// Several faults in one request: the first of the sheet's list (1.7) is reported.
TEST(GhcbRequest, OrderOfChecks) {
  GhcbRequest r;
  r.exit_code = 0x12345;
  r.usage = 1;
  EXPECT_EQ(check_request(r, GuestKind::snp), Malformed::invalid_usage);
  r.usage = 0;
  EXPECT_EQ(check_request(r, GuestKind::snp), Malformed::missing_input);
  r = make(0x12345, {});
  EXPECT_EQ(check_request(r, GuestKind::snp), Malformed::invalid_event);
}

TEST(GhcbRequest, RegistersWithoutTheirBitReadAsZero) {
  ghcb::Ghcb page{};
  page.rax = 1;
  page.rbx = 2;
  page.rcx = 3;
  page.rdx = 4;
  page.rsi = 5;
  page.xcr0 = 6;
  page.sw_scratch = 7;
  page.cpl = 3;
  page.sw_exitcode = 0x72;
  const GhcbRequest none = read_request(GuestPhysical(0x1000), page);
  EXPECT_EQ(none.rax | none.rbx | none.rcx | none.rdx | none.rsi | none.xcr0 | none.scratch, 0u);
  EXPECT_EQ(none.cpl, 0);
  EXPECT_EQ(none.exit_code, 0x72u);
  page.valid_bitmap = {~u64{0}, ~u64{0}};
  const GhcbRequest all = read_request(GuestPhysical(0x1000), page);
  EXPECT_EQ(all.rax, 1u);
  EXPECT_EQ(all.rsi, 5u);
  EXPECT_EQ(all.scratch, 7u);
  EXPECT_EQ(all.cpl, 3);
}

// GHCB sheet 1.4.
TEST(ScratchArea, LiesInsideTheSharedBuffer) {
  const GuestPhysical page(0x7000);
  EXPECT_EQ(scratch_room(page, 0x7800, 2032), 2032u);
  EXPECT_EQ(scratch_room(page, 0x7FEF, 1), 1u);
  EXPECT_EQ(scratch_room(page, 0x7800, 2033), std::nullopt);
  EXPECT_EQ(scratch_room(page, 0x7FF0, 0), std::nullopt);
  EXPECT_EQ(scratch_room(page, 0x77FF, 1), std::nullopt);
  EXPECT_EQ(scratch_room(page, 0, 1), std::nullopt);
  EXPECT_EQ(scratch_room(page, ~u64{0}, 1), std::nullopt);
  EXPECT_EQ(scratch_room(page, 0x7900, ~u64{0}), std::nullopt);
}

}  // namespace
}  // namespace softsnp::kvm

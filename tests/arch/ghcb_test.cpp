#include "arch/ghcb/ghcb.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/ghcb/page_state_change.hpp"
#include "arch/ghcb/response.hpp"
#include "arch/ghcb/termination.hpp"

namespace softsnp::ghcb {
namespace {

// GHCB sheet 1.1, the table's offsets.
TEST(GhcbPage, FieldsLieWhereTheSheetSays) {
  Ghcb page{};
  page.rax = 0x1122334455667788;
  page.rbx = 2;
  page.sw_scratch = 3;
  page.usage = 4;
  page.protocol_version = 5;
  page.cpl = 6;
  EXPECT_EQ(page.raw[0x1F8], 0x88);
  EXPECT_EQ(page.raw[0x318], 2);
  EXPECT_EQ(page.raw[0x3A8], 3);
  EXPECT_EQ(page.raw[0xFFC], 4);
  EXPECT_EQ(page.raw[0xFFA], 5);
  EXPECT_EQ(page.raw[0x0CB], 6);
  EXPECT_EQ(shared_buffer_end, 0xFF0u);
}

TEST(GhcbPage, ValidBitIsOffsetByEight) {
  for (const svm::FieldInfo& f : ghcb_fields) {
    if (f.offset >= field::valid_bitmap) {
      continue;
    }
    ValidBitmap bitmap{};
    bitmap.set(f.offset);
    u8 bytes[16];
    std::memcpy(bytes, &bitmap, sizeof bytes);
    const unsigned n = f.offset / 8;
    for (unsigned i = 0; i < 16; ++i) {
      EXPECT_EQ(bytes[i], i == n / 8 ? 1u << (n % 8) : 0u) << f.name;
    }
    EXPECT_TRUE(bitmap.has(f.offset));
    bitmap.clear(f.offset);
    EXPECT_EQ(bitmap, ValidBitmap{});
  }
}

// GHCB sheet 2.1: ready-made values.
TEST(MsrProtocol, KnownEncodings) {
  EXPECT_EQ(sev_information_response(2, 1, 51), 0x0002000133000001u);
  EXPECT_EQ(features_response(3), 0x3081u);
  EXPECT_EQ(no_preferred_ghcb, 0xFFFFFFFFFFFFF011u);
  EXPECT_EQ(page_state_change_response(0), 0x15u);
  EXPECT_EQ(page_state_change_response(page_state_change_failed), 0x8000000000000015u);
  EXPECT_EQ(cpuid_response(0xDEADBEEF, CpuidRegister::edx), 0xDEADBEEFC0000005u);
  EXPECT_EQ(encode(TerminationRequest{1, 4}), 0x41100u);
  EXPECT_EQ(encode(CpuidRequest{0x8000001F, CpuidRegister::ebx}), 0x8000001F40000004u);
  EXPECT_EQ(encode(PageStateChangeRequest{GuestPhysical(0x12345000), 2}), 0x0020000012345014u);
}

TEST(MsrProtocol, RequestsSurviveEncodingAndDecoding) {
  const auto cpuid = decode_msr_request(encode(CpuidRequest{7, CpuidRegister::ecx}));
  ASSERT_TRUE(cpuid.ok());
  ASSERT_TRUE(cpuid->is<CpuidRequest>());
  EXPECT_EQ(cpuid->get<CpuidRequest>()->function, 7u);
  EXPECT_EQ(cpuid->get<CpuidRequest>()->which, CpuidRegister::ecx);
  EXPECT_EQ(cpuid->get<FeaturesRequest>(), nullptr);
  const auto psc =
      decode_msr_request(encode(PageStateChangeRequest{GuestPhysical(0xFFFFFFFFFF000), 1}));
  EXPECT_EQ(psc->get<PageStateChangeRequest>()->page, GuestPhysical(0xFFFFFFFFFF000));
  EXPECT_EQ(psc->get<PageStateChangeRequest>()->operation, 1);
  const auto end = decode_msr_request(encode(TerminationRequest{1, 0x7F}));
  EXPECT_EQ(end->get<TerminationRequest>()->reason_set, 1);
  EXPECT_EQ(end->get<TerminationRequest>()->reason_code, 0x7F);
  const auto page = decode_msr_request(0x7000);
  EXPECT_EQ(page->get<PageProtocol>()->ghcb, GuestPhysical(0x7000));
}

TEST(MsrProtocol, EveryCodeIsDecodedOrUnknown) {
  const u16 known[] = {0x000, 0x002, 0x004, 0x006, 0x010, 0x012, 0x014, 0x016, 0x080, 0x100};
  for (u16 code = 0; code < 0x1000; ++code) {
    const auto request = decode_msr_request(0xABCDE000000000u | code);
    const bool expected = std::find(std::begin(known), std::end(known), code) != std::end(known);
    EXPECT_EQ(request.ok(), expected) << code;
    if (!request.ok()) {
      EXPECT_EQ(request.error().code, code);
    }
  }
}

TEST(PageStateChange, EntryFields) {
  const auto entry = PageStateEntry::make(GuestPhysical(0x40200000), PageOperation::make_shared,
                                          PageSize::size_2m);
  EXPECT_EQ(entry.value, 0x0120000040200000u);
  EXPECT_EQ(entry.page_count(), 512u);
  PageStateEntry done = entry;
  done.set_cur_page(512);
  EXPECT_EQ(done.cur_page(), 512u);
  EXPECT_EQ(done.gpa(), entry.gpa());
  EXPECT_EQ(done.operation(), PageOperation::make_shared);
}

// GHCB sheet 2.3 and 3.4: the event has the fields elsewhere than the MSR.
TEST(Termination, EventFieldsAndNames) {
  const TerminationReason reason = termination_of_event(0x20);
  EXPECT_EQ(reason.set, 0u);
  EXPECT_EQ(reason.code, 2u);
  EXPECT_STREQ(name(reason), "SNP features not sufficient");
  EXPECT_STREQ(name(TerminationReason{1, 4}), "CPUID page unusable");
  EXPECT_STREQ(name(TerminationReason{6, 0}), "unknown reason set");
  EXPECT_STREQ(name(TerminationReason{1, 99}), "unknown reason of set 1");
}

TEST(Response, InjectionValues) {
  EXPECT_EQ(raise_gp, 0x80000B0Du);
  EXPECT_EQ(raise_ud, 0x80000306u);
  EXPECT_STREQ(name(Event::page_state_change), "page state change");
  EXPECT_STREQ(name(static_cast<Event>(0x123456)), "unknown");
}

}  // namespace
}  // namespace softsnp::ghcb

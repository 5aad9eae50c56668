#include "guest/runtime/guest_messages.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.hpp"
#include "tests/guest/runtime/fake_firmware.hpp"

namespace softsnp::guest {
namespace {

struct World {
  World() { std::memset(secrets().vmpck[0], FakeFirmware::key_byte, 32); }
  psp::SecretsPage& secrets() { return host.object<psp::SecretsPage>(0x50000); }
  MessagePages pages() {
    MessagePages p{&host.object<u8>(0x51000), host.at(0x51000), &host.object<u8>(0x52000),
                   host.at(0x52000), &host.object<u8>(0x53000)};
    p.certificates = &host.object<u8>(0x54000);
    p.certificates_at = host.at(0x54000);
    p.certificate_pages = 2;
    return p;
  }
  static psp::ReportRequest request() {
    psp::ReportRequest r{};
    std::memset(r.report_data, 9, sizeof r.report_data);
    return r;
  }
  // A report and nothing else, or the key is gone.
  void expect_report() {
    psp::AttestationReport report{};
    const auto result = messenger.report(request(), report);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->end, MessageEnd::done);
    const auto right = FakeFirmware::report_for(request());
    EXPECT_EQ(std::memcmp(&report, &right, sizeof right), 0);
  }
  void expect_failure() {
    psp::AttestationReport report{};
    const psp::AttestationReport untouched{};
    const auto result = messenger.report(request(), report);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error(), Cause::guest_message_failed);
    EXPECT_EQ(std::memcmp(&report, &untouched, sizeof report), 0);
    EXPECT_FALSE(messenger.usable());
  }
  template <class T>
  void alter_response(usize offset, T value) {
    host.lie_by_page = [this, offset, value](const ghcb::Ghcb&, ghcb::Ghcb&) {
      store_le(&host.object<u8>(0x52000) + offset, value);
    };
  }

  SimulatedHost host;
  SimulatedGuest guest{host};
  FakeFirmware firmware{host};
  GuestMessenger messenger{guest.ghcb, secrets(), 0, pages()};
};

// Firmware sheet 4.1's vector: the request as it reaches the hypervisor.
TEST(GuestMessenger, SheetsVector) {
  World w;
  for (u8 i = 0; i < 32; ++i) {
    w.secrets().vmpck[0][i] = i;
  }
  psp::ReportRequest request{};
  for (u8 i = 0; i < 64; ++i) {
    request.report_data[i] = i;
  }
  psp::AttestationReport report;
  EXPECT_FALSE(w.messenger.report(request, report).ok());
  const u8 tag[] = {0x0f, 0x35, 0x4f, 0x26, 0xb1, 0x3f, 0x74, 0x33,
                    0xd3, 0x67, 0x4d, 0x8e, 0xeb, 0xca, 0xf8, 0x47};
  const u8 text[] = {0xe2, 0x2d, 0x80, 0x3c, 0xa0, 0xaa, 0xea, 0x00};
  EXPECT_EQ(std::memcmp(&w.host.object<u8>(0x51000), tag, sizeof tag), 0);
  EXPECT_EQ(std::memcmp(&w.host.object<u8>(0x51060), text, sizeof text), 0);
}

TEST(GuestMessenger, ReportsKeysAndTsc) {
  World w;
  w.expect_report();
  psp::KeyRequest request{};
  request.guest_field_select = 0x21;
  u8 key[32];
  ASSERT_EQ(w.messenger.derive_key(request, key)->end, MessageEnd::done);
  EXPECT_EQ(key[0], 0x21);
  request.launch_mitigation_vector = 2;  // message version 2
  ASSERT_EQ(w.messenger.derive_key(request, key)->end, MessageEnd::done);
  EXPECT_EQ(key[0], 0x23);
  psp::TscInfoResponse info;
  ASSERT_TRUE(w.messenger.tsc_info(info).ok());
  EXPECT_EQ(info.tsc_factor, 200u);
  w.expect_report();
  EXPECT_EQ(w.secrets().message_sequence_low[0], 10u);
}

TEST(GuestMessenger, CertificatesThatFitAndThatDoNot) {
  World w;
  w.firmware.certificate_pages = 2;
  psp::AttestationReport report;
  const auto fits = w.messenger.extended_report(World::request(), report);
  ASSERT_TRUE(fits.ok());
  EXPECT_EQ(fits->end, MessageEnd::done);
  EXPECT_EQ(w.host.object<u8>(0x54000), 0xCE);
  w.firmware.certificate_pages = 3;
  const auto result = w.messenger.extended_report(World::request(), report);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, MessageEnd::certificates_do_not_fit);
  EXPECT_EQ(result->certificate_pages, 3u);
  EXPECT_EQ(w.host.log.back(), "guest request");
  w.expect_report();  // the number was used up
}

TEST(GuestMessenger, RefusalsDoNotCostTheKey) {
  World w;
  w.firmware.payload_status = 0x16;
  psp::AttestationReport report;
  const auto result = w.messenger.report(World::request(), report);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->end, MessageEnd::refused);
  EXPECT_EQ(result->status, 0x16u);
  w.firmware.payload_status = 0;
  w.expect_report();
}

TEST(GuestMessenger, BusyForAWhileAndForEver) {
  World w;
  w.firmware.busy = 60;
  w.expect_report();
  EXPECT_EQ(w.firmware.asked, 1u);
  w.firmware.busy = 61;
  w.expect_failure();
}

TEST(GuestMessenger, AnswersThatDoNotFit) {
  using Header = psp::GuestMessageHeader;
  const auto at = [](usize offset, u64 value) {
    World w;
    w.alter_response(offset, value);
    w.expect_failure();
  };
  at(0, 1);                                       // the tag
  at(offsetof(Header, sequence_number), 4);       // another number
  at(offsetof(Header, sequence_number), 1);       // the request, reflected
  at(offsetof(Header, algorithm), 0);             // header
  at(0x60, 0);                                    // ciphertext
  at(0x60 + sizeof(psp::ReportResponse) - 8, 0);  // its end
  const auto size = [](u16 value) {
    World w;
    w.alter_response(offsetof(Header, message_size), value);
    w.expect_failure();
  };
  for (const unsigned bytes : {0u, 16u, 0x4B0u, 0x4D0u, 0xFA0u, 0xFFFFu}) {
    size(static_cast<u16>(bytes));
  }
}

TEST(GuestMessenger, ReplayOfAnEarlierAnswer) {
  World w;
  w.expect_report();
  std::vector<u8> old(&w.host.object<u8>(0x52000), &w.host.object<u8>(0x53000));
  w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb&) {
    std::memcpy(&w.host.object<u8>(0x52000), old.data(), old.size());
  };
  w.expect_failure();
}

TEST(GuestMessenger, ErrorsOfTheHostCostTheKey) {
  for (const u64 info2 : {u64{0x16}, u64{1} << 32, u64{0xFFFFFFFF} << 32, (u64{2} << 32) | 1}) {
    World w;
    w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
      answer.sw_exitinfo2 = info2;
    };
    w.expect_failure();
    EXPECT_EQ(w.secrets().message_sequence_low[0], 0u);
  }
}

TEST(GuestMessenger, NumbersRunOut) {
  World w;
  w.secrets().message_sequence_low[0] = 0xFFFFFFFE;
  w.expect_failure();
  EXPECT_TRUE(w.host.log.empty());
}

TEST(GuestMessenger, KeysAbsent) {
  World w;
  GuestMessenger other(w.guest.ghcb, w.secrets(), 2, w.pages());
  EXPECT_FALSE(other.usable());
  psp::AttestationReport report;
  EXPECT_FALSE(other.report(World::request(), report).ok());
  GuestMessenger beyond(w.guest.ghcb, w.secrets(), 4, w.pages());
  EXPECT_FALSE(beyond.usable());
  EXPECT_TRUE(w.host.log.empty());
}

}  // namespace
}  // namespace softsnp::guest

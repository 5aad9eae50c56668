// Guest requests, plain and extended: what reaches the firmware, what the VMM is asked, what the
// guest reads. GHCB sheet 3.6.
#include <gtest/gtest.h>

#include <cerrno>

#include "arch/ghcb/response.hpp"
#include "arch/psp/guest_message.hpp"
#include "tests/hypervisor/kvm/snp_vm.hpp"

namespace softsnp::kvm {
namespace {
namespace field = ghcb::field;
using ghcb::Event;
using ghcb::GuestRequestError;

constexpr u64 request_at = 0x300000, response_at = 0x301000, buffer_at = 0x302000;
constexpr u64 second = 1'000'000'000;  // of the fake port's clock

struct GuestRequest : testing::Test {
  explicit GuestRequest(u32 per_second = 0) : t(nullptr, per_second) {
    t.register_ghcb();
    put_message(psp::MessageType::report_request);
  }

  void put_message(psp::MessageType type) {
    std::vector<u8> message(page_size, 0xC7);
    message[offsetof(psp::GuestMessageHeader, message_type)] = psp::number(type);
    EXPECT_TRUE(t.vm->write_shared(GuestPhysical(request_at), message).ok());
  }
  KvmExit plain() { return t.page_exit(event_page(Event::guest_request, request_at, response_at)); }
  static ghcb::Ghcb extended_page(u64 buffer, u64 pages) {
    ghcb::Ghcb page = event_page(Event::extended_guest_request, request_at, response_at);
    page.rax = buffer;
    page.rbx = pages;
    page.valid_bitmap.set(field::rax);
    page.valid_bitmap.set(field::rbx);
    return page;
  }
  KvmExit extended(u64 pages, u64 buffer = buffer_at) {
    return t.page_exit(extended_page(buffer, pages));
  }
  // Of the last exit; the VM then runs on to its shutdown.
  void answer(u64 ret, u64 npages = 0) {
    t.vcpu->complete_certificates(ret, npages);
    EXPECT_TRUE(ended(t.vcpu->run(far_deadline)));
  }
  static bool ended(const KvmExit& exit) { return std::holds_alternative<ShutdownExit>(exit); }
  usize firmware_calls() const { return t.port.count(psp::Command::snp_guest_request); }
  std::vector<u8> buffer(usize bytes) {
    std::vector<u8> found(bytes);
    EXPECT_TRUE(t.vm->read_shared(GuestPhysical(buffer_at), found).ok());
    return found;
  }

  SnpVm t;
};

TEST_F(GuestRequest, PassesTheFirmwaresStatusOn) {
  t.port.psp_status[psp::Command::snp_guest_request] = psp::Status::unsupported;
  EXPECT_TRUE(ended(plain()));
  t.expect_answer(0, psp::number(psp::Status::unsupported));
  ASSERT_EQ(firmware_calls(), 1u);
  const auto command = load_le<psp::SnpGuestRequest>(t.port.psp_calls.back().buffer.data());
  EXPECT_EQ(t.port.entry(SystemPhysical(command.request_paddr)).assigned, 0);
  EXPECT_EQ(t.port.entry(SystemPhysical(command.response_paddr)).immutable, 1);
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(
      t.page_exit(event_page(Event::guest_request, 0x1000, response_at))))
      << "the request page is private";
}

TEST_F(GuestRequest, WithoutCertificatesTheTableIsItsTerminator) {
  EXPECT_TRUE(t.vm->write_shared(GuestPhysical(buffer_at), std::vector<u8>(32, 0xEE)).ok());
  EXPECT_TRUE(ended(extended(1)));
  t.expect_answer(0, 0);
  std::vector<u8> expected(32, 0);
  std::fill(expected.begin() + 24, expected.end(), u8{0xEE});
  EXPECT_EQ(buffer(32), expected);
  EXPECT_TRUE(ended(extended(0, 0x1000))) << "no room, no table: the buffer is not looked at";
  EXPECT_EQ(firmware_calls(), 2u);
}

TEST_F(GuestRequest, AnExtendedRequestIsCheckedOnlyWhereItCarriesCertificates) {
  ghcb::Ghcb page = extended_page(buffer_at, 1);
  page.valid_bitmap.clear(field::rbx);
  t.page_exit(page);
  t.expect_answer(2, static_cast<u64>(ghcb::Malformed::invalid_input));
  extended(1, buffer_at + 8);
  t.expect_answer(2, static_cast<u64>(ghcb::Malformed::invalid_input));
  EXPECT_EQ(firmware_calls(), 0u);
  put_message(psp::MessageType::key_request);
  t.page_exit(page);
  t.expect_answer(0, 0);
  EXPECT_EQ(firmware_calls(), 1u);
}

TEST_F(GuestRequest, TheVmmIsAskedForCertificatesBeforeTheFirmware) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  const KvmExit exit = extended(3);
  ASSERT_TRUE(std::holds_alternative<CertificatesExit>(exit));
  EXPECT_EQ(std::get<CertificatesExit>(exit).gpa, GuestPhysical(buffer_at));
  EXPECT_EQ(std::get<CertificatesExit>(exit).npages, 3u);
  EXPECT_EQ(firmware_calls(), 0u);
  // The guest changes its message meanwhile: the copy counts.
  put_message(psp::MessageType::key_request);
  answer(0);
  t.expect_answer(0, 0);
  EXPECT_EQ(t.page().rbx, 3u);
  ASSERT_EQ(firmware_calls(), 1u);
  const auto command = load_le<psp::SnpGuestRequest>(t.port.psp_calls.back().buffer.data());
  std::vector<u8> passed_on(page_size);
  ASSERT_TRUE(t.port.load(SystemPhysical(command.request_paddr), passed_on).ok());
  EXPECT_EQ(passed_on[offsetof(psp::GuestMessageHeader, message_type)],
            psp::number(psp::MessageType::report_request));
}

TEST_F(GuestRequest, EachAnswerOfTheVmm) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  const auto answered = [&](u64 ret, u64 npages = 0) {
    t.port.script.clear();
    EXPECT_TRUE(std::holds_alternative<CertificatesExit>(extended(1)));
    answer(ret, npages);
  };
  answered(ENOSPC, 5);
  t.expect_answer(0, 0x1'0000'0000);
  EXPECT_EQ(t.page().rbx, 5u);
  answered(EAGAIN);
  t.expect_answer(0, 0x2'0000'0000);
  answered(EIO);
  t.expect_answer(0, 0xFFFFFFFF'0000'0000);
  EXPECT_EQ(firmware_calls(), 0u) << "the sequence number stays unused";
  t.port.script.clear();
  extended(1);
  t.vcpu->complete_certificates(EPERM, 0);
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.vcpu->run(far_deadline)));
}

TEST_F(GuestRequest, AVmmThatDoesNotAnswerEndsTheVm) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  extended(1);
  EXPECT_TRUE(std::holds_alternative<InternalErrorExit>(t.vcpu->run(far_deadline)));
}

TEST_F(GuestRequest, PlainRequestsNeverAskTheVmm) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  EXPECT_TRUE(ended(plain()));
  put_message(psp::MessageType::key_request);
  EXPECT_TRUE(ended(extended(1)));
  EXPECT_EQ(firmware_calls(), 2u);
}

struct ThrottledGuestRequest : GuestRequest {
  ThrottledGuestRequest() : GuestRequest(2) {}
};

TEST_F(ThrottledGuestRequest, MoreThanSoManyASecondAreBusy) {
  for (unsigned window = 0; window < 3; ++window) {
    for (unsigned i = 0; i < 4; ++i) {
      plain();
      t.expect_answer(0, i < 2 ? 0 : ghcb::exit_info2(GuestRequestError::busy));
    }
    EXPECT_EQ(firmware_calls(), 2 * (window + 1));
    t.port.idle_until(t.port.tsc() + second);
  }
}

TEST_F(ThrottledGuestRequest, ABusyHostDoesNotAskForCertificates) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  plain();
  plain();
  EXPECT_TRUE(ended(extended(1)));
  t.expect_answer(0, ghcb::exit_info2(GuestRequestError::busy));
  EXPECT_EQ(firmware_calls(), 2u);
}

TEST_F(ThrottledGuestRequest, WhatTheFirmwareNeverSawIsNotCounted) {
  ASSERT_TRUE(t.vm->enable_certificate_exits().ok());
  for (unsigned i = 0; i < 5; ++i) {
    t.port.script.clear();
    ASSERT_TRUE(std::holds_alternative<CertificatesExit>(extended(0)));
    answer(ENOSPC, 1);
  }
  EXPECT_TRUE(ended(plain()));
  t.expect_answer(0, 0);
}

}  // namespace
}  // namespace softsnp::kvm

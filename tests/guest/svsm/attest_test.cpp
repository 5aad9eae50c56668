// Attestation and vTPM protocols. SVSM sheet 5, 6.
#include <openssl/sha.h>

#include <string>

#include "tests/guest/svsm/expectations.hpp"

namespace softsnp::svsm::test {
namespace {

constexpr u64 bad_address = number(ResultCode::invalid_address);
constexpr u64 bad_parameter = number(ResultCode::invalid_parameter);
constexpr GuestPhysical table{0x300100}, nonce{0x301000}, report{0x310000}, manifest{0x312000},
    certificates{0x314000};

class FakeVtpm final : public Vtpm {
 public:
  usize execute(const u8* command, usize bytes, u8* response) override {
    last.assign(command, command + bytes);
    return std::string("answer").copy(reinterpret_cast<char*>(response), 6);
  }
  usize endorsement_key(u8* to, usize) override {
    return std::string("EK-public").copy(reinterpret_cast<char*>(to), 9);
  }
  std::vector<u8> last;
};

struct AttestTest : testing::Test {
  AttestTest() {
    for (unsigned i = 0; i < nonce_bytes; ++i) {
      world.platform.store(nonce + i, static_cast<u8>(i * 3));
    }
  }
  u64 services() {
    world.platform.store(table, in);
    return world.call(number(AttestationCall::services), {0, table.value(), ~u64{0}, ~u64{0}});
  }
  u64 single(const Guid& service, u32 version = 0, u32 reserved = 0) {
    world.platform.store(table, AttestSingleServiceRequest{in, service, version, reserved});
    return world.call(number(AttestationCall::single_service), {0, table.value()});
  }
  void expect_sizes(u64 manifest_size, u64 certificates_size) const {
    EXPECT_EQ(world.out.rcx, manifest_size);
    EXPECT_EQ(world.out.rdx, certificates_size);
    EXPECT_EQ(world.out.r8, 1184u);
  }
  World world;
  AttestRequest in{
      report.value(), 4096, 0, nonce.value(), nonce_bytes, {}, manifest.value(), 4096, 0, 0, 0, 0};
};

TEST_F(AttestTest, Binds_nonce_and_manifest) {
  ASSERT_EQ(services(), 0u);
  expect_sizes(24, 0);
  const auto header = world.platform.load<ServicesManifestHeader>(manifest);
  EXPECT_EQ(header.guid, services_manifest_guid);
  EXPECT_EQ(header.size, 24u);
  EXPECT_EQ(header.services, 0u);
  std::vector<u8> bound(&world.platform.bytes[nonce.value()],
                        &world.platform.bytes[nonce.value()] + nonce_bytes);
  bound.insert(bound.end(), &world.platform.bytes[manifest.value()],
               &world.platform.bytes[manifest.value()] + 24);
  u8 expected[64];
  SHA512(bound.data(), bound.size(), expected);
  const auto got = world.platform.load<psp::AttestationReport>(report);
  EXPECT_EQ(std::memcmp(got.report_data, expected, sizeof expected), 0);
}

TEST_F(AttestTest, Small_buffers_are_told_and_nothing_written) {
  in.report_size = 1183;
  EXPECT_EQ(services(), bad_parameter);
  expect_sizes(24, 0);
  EXPECT_EQ(world.platform.load<u64>(manifest), 0u);
  in.report_size = 1184;
  in.manifest_size = 23;
  EXPECT_EQ(services(), bad_parameter);
  expect_sizes(24, 0);
  EXPECT_EQ(world.reporter.calls, 0u);
  in.manifest_size = 24;
  EXPECT_EQ(services(), 0u);
}

TEST_F(AttestTest, Certificates) {
  const u8 bytes[] = {1, 2, 3, 4, 5};
  in.certificates_gpa = certificates.value();
  in.certificates_size = 0x4000;
  world.reporter.answer.certificates = {bytes, sizeof bytes};
  EXPECT_EQ(services(), 0u);
  expect_sizes(24, 5);
  EXPECT_EQ(world.platform.load<u8>(certificates + 4), 5);
  EXPECT_EQ(world.reporter.last_room, 0x4000u);
  world.reporter.answer = {ReportAnswer::Outcome::needs_room, {nullptr, 0x5000}};
  EXPECT_EQ(services(), bad_parameter);
  expect_sizes(24, 0x5000);
  in.certificates_size = 0x4001;
  EXPECT_EQ(services(), bad_parameter);
}

TEST_F(AttestTest, What_the_reporter_cannot_do) {
  world.reporter.answer.outcome = ReportAnswer::Outcome::busy;
  EXPECT_EQ(services(), number(ResultCode::busy));
  world.reporter.answer.outcome = ReportAnswer::Outcome::refused;
  EXPECT_EQ(services(), number(ResultCode::invalid_request));
  EXPECT_EQ(world.platform.load<u64>(manifest), 0u);
}

TEST_F(AttestTest, Bad_tables) {
  const AttestRequest good = in;
  const auto refused = [&](auto change, u64 code) {
    in = good;
    change(in);
    EXPECT_EQ(services(), code);
  };
  refused([](auto& r) { r.reserved_0c = 1; }, bad_parameter);
  refused([](auto& r) { r.reserved_1a[5] = 1; }, bad_parameter);
  refused([](auto& r) { r.reserved_2c = 1; }, bad_parameter);
  refused([](auto& r) { r.reserved_3c = 1; }, bad_parameter);
  refused([](auto& r) { r.report_gpa += 8; }, bad_parameter);
  refused([](auto& r) { r.manifest_gpa += 8; }, bad_parameter);
  refused([](auto& r) { r.nonce_size = 32; }, bad_parameter);
  refused([](auto& r) { r.nonce_gpa += 0xFF8; }, bad_parameter);
  refused([](auto& r) { r.nonce_gpa = own_memory.start.value(); }, bad_address);
  refused([](auto& r) { r.report_gpa = own_memory.start.value(); }, bad_address);
  refused([](auto& r) { r.report_gpa = own_memory.start.value() - 0x1000, r.report_size = 0x2000; },
          bad_address);
  refused([](auto& r) { r.manifest_gpa = World::startup_vmsa.value(); }, bad_address);
  refused([](auto& r) { r.report_size = 0xFFFFFFFF; }, bad_address);
  refused([](auto& r) { r.certificates_gpa = memory_bytes, r.certificates_size = 0x1000; },
          bad_address);
  EXPECT_EQ(world.call(number(AttestationCall::services), {0, own_memory.start.value()}),
            bad_address);
  EXPECT_EQ(world.reporter.calls, 0u);
  expect_closed(world);
}

TEST_F(AttestTest, Single_service_without_and_with_a_vTPM) {
  EXPECT_EQ(single(vtpm_service_guid), number(ResultCode::unsupported_protocol));
  FakeVtpm vtpm;
  world.vtpm = &vtpm;
  EXPECT_EQ(single(vtpm_service_guid, 1), bad_parameter);
  EXPECT_EQ(single(vtpm_service_guid, 0, 1), bad_parameter);
  EXPECT_EQ(single(uefi_mm_service_guid), number(ResultCode::unsupported_protocol));
  ASSERT_EQ(single(vtpm_service_guid), 0u);
  expect_sizes(9, 0);
  EXPECT_EQ(std::memcmp(&world.platform.bytes[manifest.value()], "EK-public", 9), 0);
  ASSERT_EQ(services(), 0u);
  expect_sizes(24 + 24 + 9, 0);
  const auto entry = world.platform.load<ServiceEntry>(manifest + 24);
  EXPECT_EQ(entry.service, vtpm_service_guid);
  EXPECT_EQ(entry.offset, 48u);
  EXPECT_EQ(entry.size, 9u);
}

TEST_F(AttestTest, Vtpm_commands) {
  FakeVtpm vtpm;
  world.vtpm = &vtpm;
  EXPECT_EQ(world.call(number(VtpmCall::query), {0, 7, 7}), 0u);
  EXPECT_EQ(world.out.rcx, 0x100u);
  EXPECT_EQ(world.out.rdx, 0u);
  const auto command = [&](u32 platform_command, u8 locality, u32 size, GuestPhysical at) {
    world.platform.store(World::free_page, VtpmRequestHeader{platform_command, locality, size});
    world.platform.store(World::free_page + 9, u32{0xAABBCCDD});
    return world.call(number(VtpmCall::command), {0, at.value()});
  };
  EXPECT_EQ(command(8, 0, 4, GuestPhysical(0)), bad_parameter);
  EXPECT_EQ(command(8, 0, 4, own_memory.start), bad_address);
  EXPECT_EQ(command(8, 0, 4, own_memory.start - 8), bad_address);
  EXPECT_EQ(command(9, 0, 4, World::free_page), bad_parameter);
  EXPECT_EQ(command(8, 1, 4, World::free_page), bad_parameter);
  EXPECT_EQ(command(8, 0, 4088, World::free_page), bad_parameter);
  EXPECT_EQ(command(8, 0, 4, World::free_page), 0u);
  EXPECT_EQ(vtpm.last, (std::vector<u8>{0xDD, 0xCC, 0xBB, 0xAA}));
  EXPECT_EQ(world.platform.load<u32>(World::free_page), 6u);
  EXPECT_EQ(world.platform.load<u8>(World::free_page + 4), 'a');
}

}  // namespace
}  // namespace softsnp::svsm::test

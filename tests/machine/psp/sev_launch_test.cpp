// Launching legacy guests, with and without an owner. Firmware sheet 7.1, 7.3, 2.4, 2.5.
#include "arch/boot/ovmf.hpp"
#include "arch/svm/vmsa_integrity.hpp"
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::key_of;
using memory::PageState;

class SevLaunchTest : public SevTest {
 protected:
  GuestOwner owner;

  // The owner's side of LAUNCH_START.
  SevLaunchStart with_session(u32 policy) {
    put(input, owner.certificate());
    put(input + 0x1000, owner.session(exported_pdh(), policy));
    SevLaunchStart command{};
    command.policy = policy;
    command.dh_cert_paddr = input.value();
    command.dh_cert_len = sizeof(SevCertificate);
    command.session_paddr = (input + 0x1000).value();
    command.session_len = sizeof(SevSession);
    return command;
  }
  SevPacket packet(u32 handle, u32 bytes) {
    SevPacket command{};
    command.handle = handle;
    command.header_paddr = input.value();
    command.header_len = sizeof(SevPacketHeader);
    command.guest_paddr = memory_at.value();
    command.guest_len = command.trans_len = bytes;
    command.trans_paddr = (input + 0x1000).value();
    return command;
  }
};

TEST_F(SevLaunchTest, owner_checks_the_measurement_and_injects_a_secret) {
  snp_and_sev_init();
  constexpr u32 policy = sev_policy::nodbg | sev_policy::noks | 1 << 16 | 55u << 24;
  SevLaunchStart start = with_session(policy);
  ASSERT_EQ(run_out(Command::launch_start, start), Status::success);
  ASSERT_EQ(activate(start.handle, sev_asid), Status::success);
  make_firmware(memory_at, PageSize::size_2m);
  const Bytes image = pattern(3 * page_size + 0x120);
  fill(memory_at, image);
  ASSERT_EQ(update(start.handle, memory_at, image.size()), Status::success);
  EXPECT_EQ(bytes_at(memory_at, image.size(), key_of(sev_asid)), image);
  EXPECT_NE(bytes_at(memory_at, image.size()), image);
  EXPECT_EQ(bytes_at(memory_at + image.size(), 16), Bytes(16)) << "not beyond";

  SevMeasurement measurement;
  ASSERT_EQ(measure(start.handle, measurement), Status::success);
  const Hash expected = owner.expected_measurement(policy, sha256_of(image), measurement.nonce);
  ASSERT_EQ(to_hex(measurement.mac), to_hex(expected));

  Bytes secret = pattern(64, 0x53);
  const Bytes plain = secret;
  put(input, owner.seal(secret, measurement.mac));
  fill(input + 0x1000, secret);
  SevPacket command = packet(start.handle, 64);
  command.guest_paddr += 0x8000;
  ASSERT_EQ(run(Command::launch_secret, command), Status::success);
  EXPECT_EQ(bytes_at(memory_at + 0x8000, 64, key_of(sev_asid)), plain);
  EXPECT_NE(bytes_at(memory_at + 0x8000, 64), plain);
  EXPECT_EQ(of_handle(Command::launch_finish, start.handle), Status::success);
  EXPECT_EQ(run(Command::launch_secret, command), Status::invalid_guest_state);
}

TEST_F(SevLaunchTest, a_secret_is_bound_to_its_measurement) {
  snp_and_sev_init();
  SevLaunchStart start = with_session(0);
  ASSERT_EQ(run_out(Command::launch_start, start), Status::success);
  ASSERT_EQ(activate(start.handle, sev_asid), Status::success);
  make_firmware(memory_at);
  SevPacket command = packet(start.handle, 32);
  EXPECT_EQ(run(Command::launch_secret, command), Status::invalid_guest_state);
  SevMeasurement measurement;
  ASSERT_EQ(measure(start.handle, measurement), Status::success);
  Bytes secret = pattern(32);
  const SevPacketHeader header = owner.seal(secret, measurement.mac);
  fill(input + 0x1000, secret);
  const auto with_header = [&](const SevPacketHeader& changed) {
    put(input, changed);
    return run(Command::launch_secret, command);
  };
  for (const usize at : {usize{1}, usize{4}, usize{0x13}, usize{0x14}, usize{0x33}}) {
    SevPacketHeader changed = header;
    reinterpret_cast<u8*>(&changed)[at] ^= 0x10;
    EXPECT_EQ(with_header(changed), Status::bad_measurement) << at;
  }
  SevPacketHeader compressed = header;
  compressed.flags = 1;
  EXPECT_EQ(with_header(compressed), Status::unsupported);
  Bytes again = pattern(32);
  Hash other_measurement{};
  EXPECT_EQ(with_header(owner.seal(again, other_measurement)), Status::bad_measurement);
  again = pattern(32);
  EXPECT_EQ(with_header(owner.seal(again, measurement.mac, 2)), Status::bad_measurement)
      << "a packet of another kind";
  EXPECT_EQ(bytes_at(memory_at, 32), Bytes(32)) << "nothing was written";
  EXPECT_EQ(with_header(header), Status::success);

  const auto with = [&](auto change) {
    SevPacket changed = command;
    change(changed);
    return run(Command::launch_secret, changed);
  };
  EXPECT_EQ(with([](auto& c) { c.guest_len = 16; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.guest_len = c.trans_len = 0; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.guest_len = c.trans_len = 24; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.guest_len = c.trans_len = 0x5010; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.header_len = 0x30; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& c) { c.guest_paddr += 8; }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.guest_paddr = u64{1} << 45; }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.trans_paddr = ~u64{0} - 15; }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.guest_paddr = rmp_base.value(); }), Status::invalid_param);
  EXPECT_EQ(with([](auto& c) { c.guest_paddr = tmr.value(); }), Status::invalid_address);
  EXPECT_EQ(with([](auto& c) { c.guest_paddr = other.value(); }), Status::invalid_page_state);
  EXPECT_EQ(with([](auto& c) { c.mbz_24 = 1; }), Status::invalid_param);
  ASSERT_EQ(of_handle(Command::deactivate, start.handle), Status::success);
  EXPECT_EQ(run(Command::launch_secret, command), Status::inactive);
}

TEST_F(SevLaunchTest, session_checks_in_their_order) {
  snp_and_sev_init();
  const u32 policy = es;
  const SevLaunchStart good = with_session(policy);
  const auto certificate = get<SevCertificate>(input);
  const auto session = get<SevSession>(input + 0x1000);
  const auto with = [&](auto change) {
    SevLaunchStart start = good;
    SevCertificate changed_certificate = certificate;
    SevSession changed_session = session;
    change(start, changed_certificate, changed_session);
    put(input, changed_certificate);
    put(input + 0x1000, changed_session);
    return run_out(Command::launch_start, start);
  };
  EXPECT_EQ(with([](auto& s, auto&, auto&) { s.mbz_14 = 1; }), Status::invalid_param);
  EXPECT_EQ(with([](auto& s, auto&, auto&) { s.dh_cert_len = 0x823; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& s, auto&, auto&) { s.session_len = 0x81; }), Status::invalid_length);
  EXPECT_EQ(with([](auto& s, auto&, auto&) { s.session_paddr = u64{1} << 44; }),
            Status::invalid_address);
  EXPECT_EQ(with([](auto&, auto& c, auto&) { c.version = 2; }), Status::invalid_certificate);
  EXPECT_EQ(with([](auto&, auto& c, auto&) { c.usage = 0x1002; }), Status::invalid_certificate);
  EXPECT_EQ(with([](auto&, auto& c, auto&) { c.algorithm = 2; }), Status::invalid_certificate);
  EXPECT_EQ(with([](auto&, auto& c, auto&) { c.key.curve = 1; }), Status::invalid_certificate);
  EXPECT_EQ(with([](auto&, auto& c, auto&) { c.key.qx[0] ^= 1; }), Status::invalid_certificate)
      << "off the curve";
  EXPECT_EQ(with([](auto&, auto& c, auto&) { std::memset(c.key.qx, 0, 2 * sizeof c.key.qx); }),
            Status::invalid_certificate);
  EXPECT_EQ(with([](auto&, auto&, auto& s) { s.nonce[0] ^= 1; }), Status::bad_measurement);
  EXPECT_EQ(with([](auto&, auto&, auto& s) { s.wrapped_keys[0] ^= 1; }), Status::bad_measurement);
  EXPECT_EQ(with([](auto&, auto&, auto& s) { s.policy_mac[31] ^= 1; }), Status::bad_measurement);
  EXPECT_EQ(with([](auto& s, auto&, auto&) { s.policy = 0; }), Status::bad_measurement)
      << "the host changed the policy";
  EXPECT_EQ(with([](auto&, auto&, auto&) {}), Status::success);
  for (const u32 refused : {0x40u, 0x8000u, 2u << 16, 1u << 16 | 56u << 24}) {
    SevLaunchStart start = with_session(refused);
    EXPECT_EQ(run_out(Command::launch_start, start), Status::policy_failure) << refused;
    start.dh_cert_paddr = 0;
    EXPECT_EQ(run_out(Command::launch_start, start), Status::success) << "no session, no check";
  }
}

// The page rules of SNP, and those of lengths and addresses.
TEST_F(SevLaunchTest, update_data_checks) {
  snp_and_sev_init();
  const u32 handle = started();
  EXPECT_EQ(update(handle, memory_at + 8, 24), Status::inactive) << "first of all";
  EXPECT_EQ(update(77, memory_at, 16), Status::invalid_guest);
  ASSERT_EQ(activate(handle, sev_asid), Status::success);
  EXPECT_EQ(update(handle, memory_at + 8, 24), Status::invalid_address);
  EXPECT_EQ(update(handle, memory_at, 24), Status::invalid_length);
  EXPECT_EQ(update(handle, memory_at, 0), Status::invalid_length);
  EXPECT_EQ(update(handle, memory_at, 16), Status::invalid_page_state) << "a hypervisor page";
  EXPECT_EQ(update(handle, tmr + 0x1000, 16), Status::invalid_address);
  EXPECT_EQ(update(handle, rmp_base, 16), Status::invalid_param);
  EXPECT_EQ(update(handle, SystemPhysical(dram_bytes - 16), 32), Status::invalid_address);
  make_firmware(memory_at);
  EXPECT_EQ(update(handle, memory_at, page_size + 16), Status::invalid_page_state)
      << "its second page";
  EXPECT_EQ(update(handle, memory_at, page_size), Status::success);
  EXPECT_EQ(update(handle, outside, 32), Status::success) << "DEFAULT";
  EXPECT_EQ(state_of(memory_at), PageState::firmware) << "the host takes it back by itself";
  EXPECT_EQ(run(Command::launch_update_data, SevLaunchUpdate{handle, 1, memory_at.value(), 16}),
            Status::invalid_param);
  EXPECT_EQ(update(handle, outside, page_size, Command::launch_update_vmsa), Status::unsupported);
  EXPECT_EQ(update(handle, outside, 16, Command::launch_update_vmsa), Status::invalid_length);
}

TEST_F(SevLaunchTest, measurement_tells_its_length) {
  snp_and_sev_init();
  const u32 handle = started();
  SevLaunchUpdate command{handle, 0, 0, 0};
  EXPECT_EQ(run_out(Command::launch_measure, command), Status::invalid_length);
  EXPECT_EQ(command.length, 0x30u);
  command = {handle, 0, output.value(), 0x30};
  EXPECT_EQ(run_out(Command::launch_measure, command), Status::invalid_page_state);
  EXPECT_EQ(state_of_guest(handle), SevGuestState::lupdate);
  put(buffer, command);
  EXPECT_EQ(psp.command(Command::launch_measure, buffer), static_cast<Status>(0x5A))
      << "the command buffer itself";
  make_firmware(other);
  command.paddr = (other + 0x100).value();
  put(other, command);
  EXPECT_EQ(psp.command(Command::launch_measure, other), Status::success);
  EXPECT_EQ(state_of(other), PageState::reclaim) << "handed back";
}

// Firmware sheet 2.5: a page of zeros, the empty hash table, save areas of one and two vCPUs.
TEST_F(SevLaunchTest, known_launch_digests) {
  namespace ovmf = boot::ovmf;
  ovmf::KernelHashes table{};
  const auto entry = [](const ovmf::Guid& guid, const Bytes& of) {
    ovmf::HashEntry made{};
    made.guid = guid;
    made.length = sizeof made;
    store_le(made.sum, sha256_of(of));
    return made;
  };
  table.guid = ovmf::kernel_hashes_guid;
  table.length = ovmf::KernelHashes::length_value;
  table.command_line = entry(ovmf::command_line_guid, {0});
  table.initrd = entry(ovmf::initrd_guid, {});
  table.kernel = entry(ovmf::kernel_guid, {});
  snp_and_sev_init();
  const u32 handle = activated(es);
  make_firmware(memory_at, PageSize::size_2m);
  const auto digest = [&] { return to_hex(psp.sev_guest(handle)->launch_stream.digest()); };
  ASSERT_EQ(update(handle, memory_at, page_size), Status::success);
  put(memory_at + page_size, table);
  ASSERT_EQ(update(handle, memory_at + page_size, sizeof table), Status::success);
  EXPECT_EQ(digest(), "741f95d51808479e6b3b4581bfc3a974c6805d01bf8ca49d6e96c2e36676fa76");
  const SystemPhysical vmsa = memory_at + 4 * page_size;
  put(vmsa, qemu_vmsa(0xFFFFFFF0, 0x800F12, 0));
  ASSERT_EQ(update(handle, vmsa, page_size, Command::launch_update_vmsa), Status::success);
  EXPECT_EQ(digest(), "c44ca79fad7e19ee68ffbcc4fca674254706e5a8c1d395f9a14b41a48e42a9ad");
  put(vmsa + page_size, qemu_vmsa(0x0080B004, 0x800F12, 0));
  ASSERT_EQ(update(handle, vmsa + page_size, page_size, Command::launch_update_vmsa),
            Status::success);
  EXPECT_EQ(digest(), "415a742201d8073a5effcece510fbe029978211a2a5d846188ece10ce2820b49");
}

TEST_F(SevLaunchTest, save_areas_get_a_checksum_each) {
  snp_and_sev_init();
  const u32 handle = activated(es);
  make_firmware(memory_at, PageSize::size_2m);
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0x800F12, 0);
  vmsa.reserved_380 = 5;
  const auto launch = [&](u64 page) {
    put(memory_at + page * page_size, vmsa);
    return update(handle, memory_at + page * page_size, page_size, Command::launch_update_vmsa);
  };
  for (u64 page = 0; page < 3; ++page) {
    ASSERT_EQ(launch(page), Status::success);
    const auto made = get<svm::Vmsa>(memory_at + page * page_size, key_of(es_asid));
    EXPECT_EQ(made.reserved_380, 0u);
    EXPECT_EQ(made.checksum_address, tmr.value() + page * svm::ChecksumBlock::bytes);
    EXPECT_EQ(made.rip, 0xFFF0u);
    const auto block = get<svm::ChecksumBlock>(SystemPhysical(made.checksum_address));
    EXPECT_EQ(block.checksum, svm::vmsa_checksum(made.raw));
  }
  // Blocks come back with the guest, and run out.
  change_state([](PspState& state) {
    for (u32 block = 3; block < 65536; ++block) {
      state.sev.checksum_blocks.insert(block);
    }
  });
  EXPECT_EQ(launch(3), Status::resource_limit);
  ASSERT_EQ(of_handle(Command::deactivate, handle), Status::success);
  ASSERT_EQ(of_handle(Command::decommission, handle), Status::success);
  EXPECT_EQ(psp.state().sev.checksum_blocks.size(), 65536u - 3);
  EXPECT_FALSE(psp.state().sev.checksum_blocks.contains(1));
}

// CRC-32C's check value (RFC 3720: 32 bytes of zeros, of ones).
TEST(VmsaIntegrity, KnownChecksums) {
  EXPECT_EQ(svm::crc32c(Bytes(32).data(), 32), 0x8A9136AAu);
  EXPECT_EQ(svm::crc32c(Bytes(32, 0xFF).data(), 32), 0x62A8AB43u);
}

}  // namespace
}  // namespace softsnp::psp

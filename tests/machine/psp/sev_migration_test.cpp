// A guest goes from one machine to another: two secure processors, nothing between them but what
// the hosts carry. Firmware sheet 7.1, 7.3.
#include <openssl/rsa.h>

#include "arch/svm/vmsa_integrity.hpp"
#include "machine/psp/sev_amd_chain.hpp"
#include "tests/machine/psp/sev_fixture.hpp"

namespace softsnp::psp {
namespace {

using memory::key_of;

// What goes over the wire.
struct Packet {
  SevPacketHeader header{};
  Bytes data;
};

struct Side : SevTest {
  explicit Side(const PspConfig& config) : SevTest(config) {
    snp_and_sev_init();
    make_firmware(memory_at, PageSize::size_2m);
  }
  void TestBody() override {}

  struct Platform {
    SevCertificate pdh;
    SevCertificateChain chain;
  };
  Platform certificates() {
    Platform made;
    made.pdh = exported_pdh(&made.chain);
    return made;
  }
  u32 running_guest(u32 policy) { return running(policy); }
  memory::Dram& dram_of() { return dram; }
  void flush_now() { flush(); }

  SevSendStart send_start_command(u32 handle, const Platform& target, const Bytes& amd = {}) {
    put(input, target.pdh);
    put(input + 0x1000, target.chain);
    fill(big_input, amd);
    SevSendStart command{};
    command.handle = handle;
    command.pdh_paddr = input.value();
    command.pdh_len = sizeof(SevCertificate);
    command.plat_certs_paddr = (input + 0x1000).value();
    command.plat_certs_len = sizeof(SevCertificateChain);
    command.amd_certs_paddr = big_input.value();
    command.amd_certs_len = static_cast<u32>(amd.size());
    command.session_paddr = (outside + 0x3000).value();
    command.session_len = sizeof(SevSession);
    return command;
  }
  Status send_start(u32 handle, const Platform& target, SevSession& session,
                    const Bytes& amd = {}) {
    SevSendStart command = send_start_command(handle, target, amd);
    const Status status = run_out(Command::send_start, command);
    session = get<SevSession>(outside + 0x3000);
    return status;
  }
  Status receive_start(const SevCertificate& source, const SevSession& session, u32 policy,
                       u32& handle) {
    put(input, source);
    put(input + 0x1000, session);
    SevLaunchStart command{};
    command.policy = policy;
    command.dh_cert_paddr = input.value();
    command.dh_cert_len = sizeof(SevCertificate);
    command.session_paddr = (input + 0x1000).value();
    command.session_len = sizeof(SevSession);
    const Status status = run_out(Command::receive_start, command);
    handle = command.handle;
    return status;
  }
  SevPacket packet_command(u32 handle, u64 offset, usize bytes) {
    SevPacket command{};
    command.handle = handle;
    command.header_paddr = (outside + 0x4000).value();
    command.header_len = sizeof(SevPacketHeader);
    command.guest_paddr = (memory_at + offset).value();
    command.guest_len = command.trans_len = static_cast<u32>(bytes);
    command.trans_paddr = (outside + 0x5000).value();
    return command;
  }
  Packet send(Command command, u32 handle, u64 offset, usize bytes) {
    SevPacket buffer_out = packet_command(handle, offset, bytes);
    EXPECT_EQ(run_out(command, buffer_out), Status::success);
    return {get<SevPacketHeader>(outside + 0x4000), bytes_at(outside + 0x5000, bytes)};
  }
  Status receive(Command command, u32 handle, u64 offset, const Packet& packet) {
    put(outside + 0x4000, packet.header);
    fill(outside + 0x5000, packet.data);
    return run(command, packet_command(handle, offset, packet.data.size()));
  }

  static constexpr SystemPhysical big_input{0x10000};
  using SevTest::activate;
  using SevTest::bytes_at;
  using SevTest::es_asid;
  using SevTest::get;
  using SevTest::make_firmware;
  using SevTest::memory_at;
  using SevTest::of_handle;
  using SevTest::outside;
  using SevTest::psp;
  using SevTest::put;
  using SevTest::run;
  using SevTest::run_out;
  using SevTest::sev_asid;
  using SevTest::state_of_guest;
  using SevTest::tmr;
};

TEST(SevMigration, a_running_guest_arrives_whole) {
  Side a({.seed = 1});
  Side b({.seed = 2});
  const u32 handle = a.running_guest(sev_policy::es);
  const Bytes text = pattern(page_size);
  svm::Vmsa vmsa = qemu_vmsa(0xFFFFFFF0, 0x800F12, 0);
  vmsa.checksum_address = 0x12345;
  const auto with_key = [](const auto& value) {
    return std::span<const u8>(reinterpret_cast<const u8*>(&value), sizeof value);
  };
  memory::Dram& memory = a.dram_of();
  memory.write(Side::memory_at, key_of(Side::es_asid), text);
  memory.write(Side::memory_at + page_size, key_of(Side::es_asid), with_key(vmsa));

  SevSession session;
  ASSERT_EQ(a.send_start(handle, b.certificates(), session), Status::success);
  EXPECT_EQ(a.state_of_guest(handle), SevGuestState::supdate);
  u32 arrived = 0;
  EXPECT_EQ(b.receive_start(a.certificates().pdh, session, 0, arrived), Status::bad_measurement)
      << "another policy";
  EXPECT_EQ(b.receive_start(b.certificates().pdh, session, sev_policy::es, arrived),
            Status::bad_measurement)
      << "another sender";
  ASSERT_EQ(b.receive_start(a.certificates().pdh, session, sev_policy::es, arrived),
            Status::success);
  EXPECT_EQ(b.state_of_guest(arrived), SevGuestState::rupdate);

  const Packet page = a.send(Command::send_update_data, handle, 0, page_size);
  const Packet registers = a.send(Command::send_update_vmsa, handle, page_size, page_size);
  EXPECT_NE(page.data, text);
  EXPECT_EQ(b.receive(Command::receive_update_data, arrived, 0, page), Status::inactive);
  ASSERT_EQ(b.activate(arrived, Side::es_asid), Status::success);
  Packet spoilt = page;
  spoilt.data[100] ^= 1;
  EXPECT_EQ(b.receive(Command::receive_update_data, arrived, 0, spoilt), Status::bad_measurement);
  spoilt = page;
  spoilt.header.iv[0] ^= 1;
  EXPECT_EQ(b.receive(Command::receive_update_data, arrived, 0, spoilt), Status::bad_measurement);
  ASSERT_EQ(b.receive(Command::receive_update_data, arrived, 0, page), Status::success);
  EXPECT_EQ(b.bytes_at(Side::memory_at, page_size, key_of(Side::es_asid)), text);
  ASSERT_EQ(b.receive(Command::receive_update_vmsa, arrived, page_size, registers),
            Status::success);
  const auto made = b.get<svm::Vmsa>(Side::memory_at + page_size, key_of(Side::es_asid));
  EXPECT_EQ(made.rip, vmsa.rip);
  EXPECT_EQ(made.checksum_address, Side::tmr.value()) << "of its new home";
  EXPECT_EQ(b.get<svm::ChecksumBlock>(Side::tmr).checksum, svm::vmsa_checksum(made.raw));

  EXPECT_EQ(a.of_handle(Command::send_finish, handle), Status::success);
  EXPECT_EQ(a.state_of_guest(handle), SevGuestState::sent);
  EXPECT_EQ(a.of_handle(Command::send_cancel, handle), Status::invalid_guest_state);
  EXPECT_EQ(b.of_handle(Command::receive_finish, arrived), Status::success);
  EXPECT_EQ(b.state_of_guest(arrived), SevGuestState::running);
  EXPECT_EQ(b.psp.state().asids.state(Side::es_asid), AsidState::in_use);
  EXPECT_EQ(b.receive(Command::receive_update_data, arrived, 0, page), Status::invalid_guest_state);
}

TEST(SevMigration, cancelling) {
  Side a({.seed = 1});
  Side b({.seed = 2});
  const u32 handle = a.running_guest(0);
  SevSession first;
  ASSERT_EQ(a.send_start(handle, b.certificates(), first), Status::success);
  ASSERT_EQ(a.of_handle(Command::send_cancel, handle), Status::success);
  EXPECT_EQ(a.state_of_guest(handle), SevGuestState::running);
  SevPacket packet = a.packet_command(handle, 0, 32);
  EXPECT_EQ(a.run_out(Command::send_update_data, packet), Status::invalid_guest_state);
  SevSession second;
  ASSERT_EQ(a.send_start(handle, b.certificates(), second), Status::success);
  EXPECT_NE(to_hex(first.wrapped_keys), to_hex(second.wrapped_keys)) << "new keys each time";
}

TEST(SevMigration, lengths_can_be_asked_for) {
  Side a({.seed = 1});
  Side b({.seed = 2});
  const u32 handle = a.running_guest(0);
  SevSendStart start{};
  start.handle = handle;
  EXPECT_EQ(a.run_out(Command::send_start, start), Status::invalid_length);
  EXPECT_EQ(start.pdh_len, 0x824u);
  EXPECT_EQ(start.plat_certs_len, 0x186Cu);
  EXPECT_EQ(start.amd_certs_len, 0xC80u);
  EXPECT_EQ(start.session_len, 0x80u);
  SevSession session;
  ASSERT_EQ(a.send_start(handle, b.certificates(), session), Status::success);
  SevPacket packet = a.packet_command(handle, 0, 64);
  packet.header_len = packet.trans_len = 0;
  EXPECT_EQ(a.run_out(Command::send_update_data, packet), Status::invalid_length);
  EXPECT_EQ(packet.header_len, 0x34u);
  EXPECT_EQ(packet.trans_len, 64u);
  EXPECT_EQ(a.run_out(Command::send_update_vmsa, packet), Status::invalid_length);
  packet.guest_len = packet.trans_len = page_size;
  EXPECT_EQ(a.run_out(Command::send_update_vmsa, packet), Status::unsupported) << "not ES";
  packet = a.packet_command(handle, 0, 64);
  packet.trans_paddr = 0x7000;
  EXPECT_EQ(a.run_out(Command::send_update_data, packet), Status::invalid_page_state);
}

TEST(SevMigration, policy_and_certificates_decide) {
  Side a({.seed = 1});
  Side b({.seed = 2});
  const Side::Platform target = b.certificates();
  SevSession session;
  const auto refused = [&](auto change) {
    Side::Platform changed = target;
    change(changed);
    return a.send_start(1, changed, session);
  };
  const u32 free = a.running_guest(0);
  ASSERT_EQ(free, 1u);
  EXPECT_EQ(refused([](auto& p) { p.pdh.key.qx[0] ^= 1; }), Status::invalid_certificate);
  EXPECT_EQ(refused([](auto& p) { p.chain.pek.api_minor ^= 1; }), Status::invalid_certificate);
  EXPECT_EQ(refused([](auto& p) { p.chain.oca.signatures[0].ecdsa.s[0] ^= 1; }),
            Status::invalid_certificate);
  EXPECT_EQ(refused([&](auto& p) { p.chain.cek = a.certificates().chain.cek; }),
            Status::invalid_certificate)
      << "a PEK of another chip";
  EXPECT_EQ(refused([&](auto& p) { p.chain.oca = a.certificates().chain.oca; }),
            Status::invalid_certificate);
  EXPECT_EQ(refused([](auto&) {}), Status::success);
  ASSERT_EQ(a.of_handle(Command::deactivate, free), Status::success);
  a.flush_now();
  const u32 stays = a.running_guest(sev_policy::nosend);
  EXPECT_EQ(a.send_start(stays, target, session), Status::policy_failure);
  ASSERT_EQ(a.of_handle(Command::deactivate, stays), Status::success);
  a.flush_now();
  const u32 local = a.running_guest(sev_policy::domain);
  EXPECT_EQ(a.send_start(local, target, session), Status::policy_failure) << "another OCA";
  EXPECT_EQ(a.send_start(local, a.certificates(), session), Status::success);
}

// ASK or ARK in AMD's container, by its own RSA key.
class AmdAuthority {
 public:
  explicit AmdAuthority(unsigned bits) : bits_(bits) {
    key_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", usize{bits}));
  }
  Bytes number(const char* name) const {
    BIGNUM* value = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &value), 1);
    Bytes bytes(bits_ / 8);
    BN_bn2lebinpad(value, bytes.data(), static_cast<int>(bytes.size()));
    BN_free(value);
    return bytes;
  }
  // PSS, little-endian.
  Bytes sign(std::span<const u8> message, const EVP_MD* hash) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    Bytes signature(bits_ / 8);
    usize size = signature.size();
    EXPECT_EQ(EVP_DigestSignInit(context, &options, hash, nullptr, key_.get()), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST), 1);
    EXPECT_EQ(EVP_DigestSign(context, signature.data(), &size, message.data(), message.size()), 1);
    EVP_MD_CTX_free(context);
    std::reverse(signature.begin(), signature.end());
    return signature;
  }
  Bytes certificate(u32 usage, u8 id, u8 issuer_id, const AmdAuthority& issuer) const {
    AmdCertificateHeader header{};
    header.version = 1;
    std::fill_n(header.key_id, 16, id);
    std::fill_n(header.certifying_id, 16, issuer_id);
    header.usage = usage;
    header.exponent_bits = header.modulus_bits = bits_;
    Bytes made;
    append(made, {reinterpret_cast<const u8*>(&header), sizeof header});
    append(made, number(OSSL_PKEY_PARAM_RSA_E));
    append(made, number(OSSL_PKEY_PARAM_RSA_N));
    append(made, issuer.sign(made, bits_ == 4096 ? EVP_sha384() : EVP_sha256()));
    return made;
  }
  Digest digest() const {
    return amd_key_digest(number(OSSL_PKEY_PARAM_RSA_E), number(OSSL_PKEY_PARAM_RSA_N));
  }

 private:
  unsigned bits_;
  OwnerKey key_;
};

TEST(SevMigration, a_policy_may_demand_a_platform_of_amds) {
  const AmdAuthority ark(2048);
  const AmdAuthority ask(2048);
  Side a({.seed = 1, .sev_ark = ark.digest()});
  Side b({.seed = 2});
  Bytes chain = ask.certificate(0x13, 2, 1, ark);
  append(chain, ark.certificate(0, 1, 1, ark));
  Side::Platform target = b.certificates();
  const u32 handle = a.running_guest(sev_policy::sev);
  SevSession session;
  EXPECT_EQ(a.send_start(handle, target, session), Status::invalid_length);
  EXPECT_EQ(a.send_start(handle, target, session, chain), Status::invalid_certificate)
      << "the CEK without AMD's signature";
  SevCertificate& cek = target.chain.cek;
  const Bytes signature =
      ask.sign({reinterpret_cast<const u8*>(&cek), SevCertificate::signed_bytes}, EVP_sha256());
  cek.signatures[0].usage = 0x13;
  cek.signatures[0].algorithm = 1;
  std::memcpy(&cek.signatures[0].ecdsa, signature.data(), signature.size());
  Bytes spoilt = chain;
  spoilt[0x60] ^= 1;
  EXPECT_EQ(a.send_start(handle, target, session, spoilt), Status::invalid_certificate);
  spoilt = Bytes(chain.begin(), chain.end() - 1);
  EXPECT_EQ(a.send_start(handle, target, session, spoilt), Status::invalid_certificate);
  const AmdAuthority stranger(2048);
  spoilt = ask.certificate(0x13, 2, 1, stranger);
  append(spoilt, stranger.certificate(0, 1, 1, stranger));
  EXPECT_EQ(a.send_start(handle, target, session, spoilt), Status::invalid_certificate)
      << "another root";
  EXPECT_EQ(a.send_start(handle, target, session, chain), Status::success);
}

}  // namespace
}  // namespace softsnp::psp

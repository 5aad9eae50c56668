// Legacy guests, and an owner who has nothing of the firmware but its certificates: all
// cryptography of the owner is put together from OpenSSL's parts here.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/psp/sev_buffers.hpp"
#include "arch/psp/sev_certificate.hpp"
#include "arch/psp/sev_policy.hpp"
#include "arch/psp/sev_session.hpp"
#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {

using Bytes = std::vector<u8>;
using Hash = std::array<u8, 32>;

inline void append(Bytes& to, std::span<const u8> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
inline void append_u32(Bytes& to, u32 value) {
  for (unsigned at = 0; at < 4; ++at) {
    to.push_back(static_cast<u8>(value >> (8 * at)));
  }
}

inline Hash owner_hmac(std::span<const u8> key, std::span<const u8> message) {
  Hash mac;
  unsigned size = 0;
  EXPECT_NE(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
                 message.size(), mac.data(), &size),
            nullptr);
  return mac;
}

// 16 bytes are one block of the KDF.
inline Bytes owner_kdf(std::span<const u8> key, std::string_view label,
                       std::span<const u8> context) {
  Bytes input;
  append_u32(input, 1);
  append(input, {reinterpret_cast<const u8*>(label.data()), label.size()});
  input.push_back(0);
  append(input, context);
  append_u32(input, 128);
  const Hash block = owner_hmac(key, input);
  return {block.begin(), block.begin() + 16};
}

inline void owner_ctr(const Bytes& key, const u8* iv, std::span<u8> data) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  int size = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nullptr, key.data(), iv), 1);
  EXPECT_EQ(
      EVP_EncryptUpdate(context, data.data(), &size, data.data(), static_cast<int>(data.size())),
      1);
  EVP_CIPHER_CTX_free(context);
}

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using OwnerKey = std::unique_ptr<EVP_PKEY, FreeKey>;

inline OwnerKey public_key_of(const SevCertificate& certificate) {
  Bytes point{4};
  point.insert(point.end(), std::reverse_iterator(certificate.key.qx + 48),
               std::reverse_iterator(certificate.key.qx));
  point.insert(point.end(), std::reverse_iterator(certificate.key.qy + 48),
               std::reverse_iterator(certificate.key.qy));
  char group[] = "P-384";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
  EVP_PKEY_CTX_free(context);
  return OwnerKey(key);
}

inline bool owner_verifies(const SevCertificate& signer, std::span<const u8> message, const u8* r,
                           const u8* s) {
  const OwnerKey key = public_key_of(signer);
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_lebin2bn(r, 0x48, nullptr), BN_lebin2bn(s, 0x48, nullptr));
  u8* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  const bool good =
      EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context, der, static_cast<usize>(size), message.data(), message.size()) == 1;
  EVP_MD_CTX_free(context);
  OPENSSL_free(der);
  ECDSA_SIG_free(signature);
  return good;
}
// One signature of certificate is signer's.
inline bool owner_verifies(const SevCertificate& signer, const SevCertificate& certificate) {
  for (const SevSignature& signature : certificate.signatures) {
    if (signature.usage == signer.usage && signature.algorithm == 2 &&
        owner_verifies(signer, {reinterpret_cast<const u8*>(&certificate), 0x414},
                       signature.ecdsa.r, signature.ecdsa.s)) {
      return true;
    }
  }
  return false;
}

// A guest owner: a DH key of its own, keys for one guest.
class GuestOwner {
 public:
  GuestOwner() {
    char group[] = "P-384";
    key_.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group));
    for (usize at = 0; at < 16; ++at) {
      tek[at] = static_cast<u8>(0x10 + at);
      tik[at] = static_cast<u8>(0x80 + at);
    }
  }

  SevCertificate certificate() const {
    SevCertificate made{};
    made.version = 1;
    made.usage = 0x1003;
    made.algorithm = 3;
    made.key.curve = 2;
    put_number(OSSL_PKEY_PARAM_EC_PUB_X, made.key.qx);
    put_number(OSSL_PKEY_PARAM_EC_PUB_Y, made.key.qy);
    made.signatures[0].usage = made.signatures[1].usage = 0x1000;
    return made;
  }

  SevSession session(const SevCertificate& pdh, u32 policy) const {
    SevSession made{};
    std::fill_n(made.nonce, 16, u8{0x4E});
    std::fill_n(made.wrap_iv, 16, u8{0x49});
    const Bytes master = owner_kdf(shared(pdh), "sev-master-secret", made.nonce);
    std::copy(tek.begin(), tek.end(), made.wrapped_keys);
    std::copy(tik.begin(), tik.end(), made.wrapped_keys + 16);
    owner_ctr(owner_kdf(master, "sev-kek", {}), made.wrap_iv, made.wrapped_keys);
    store_le(made.wrap_mac, owner_hmac(owner_kdf(master, "sev-kik", {}), made.wrapped_keys));
    Bytes text;
    append_u32(text, policy);
    store_le(made.policy_mac, owner_hmac(tik, text));
    return made;
  }

  Hash expected_measurement(u32 policy, const Hash& launch_digest, const u8* nonce) const {
    Bytes text{0x04, 1, 55, 25};
    append_u32(text, policy);
    append(text, launch_digest);
    append(text, {nonce, 16});
    return owner_hmac(tik, text);
  }

  // Header and ciphertext of a secret, bound to the measurement's MAC.
  SevPacketHeader seal(Bytes& data, std::span<const u8> measurement, u8 context = 1) const {
    SevPacketHeader header{};
    std::fill_n(header.iv, 16, u8{0x77});
    owner_ctr(tek, header.iv, data);
    Bytes text{context};
    append_u32(text, header.flags);
    append(text, header.iv);
    append_u32(text, static_cast<u32>(data.size()));
    append_u32(text, static_cast<u32>(data.size()));
    append(text, data);
    append(text, measurement);
    store_le(header.mac, owner_hmac(tik, text));
    return header;
  }

  Bytes tek = Bytes(16), tik = Bytes(16);

 private:
  void put_number(const char* name, u8* to) const {
    BIGNUM* number = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &number), 1);
    EXPECT_EQ(BN_bn2lebinpad(number, to, 0x48), 0x48);
    BN_free(number);
  }
  Bytes shared(const SevCertificate& pdh) const {
    const OwnerKey peer = public_key_of(pdh);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key_.get(), nullptr);
    Bytes secret(48);
    usize size = secret.size();
    EXPECT_EQ(EVP_PKEY_derive_init(context), 1);
    EXPECT_EQ(EVP_PKEY_derive_set_peer(context, peer.get()), 1);
    EXPECT_EQ(EVP_PKEY_derive(context, secret.data(), &size), 1);
    EVP_PKEY_CTX_free(context);
    return secret;
  }
  OwnerKey key_;
};

class SevTest : public PspTest {
 protected:
  SevTest() = default;
  explicit SevTest(const PspConfig& config) : PspTest(config) {}

  static constexpr SystemPhysical tmr{0x800000};
  static constexpr SystemPhysical memory_at{0xA00000};  // of the guest
  static constexpr SystemPhysical input{0x3000};        // hypervisor pages for the host's data
  static constexpr SystemPhysical output{0x6000};
  static constexpr Asid sev_asid{120}, es_asid{7};  // MIN_SEV_ASID is 100
  static constexpr u32 es = sev_policy::es;

  static SevInit init_command(u16 flags = SevInit::es) {
    return {flags, {}, tmr.value(), SevInit::tmr_bytes};
  }
  void flush() {
    flush_caches();
    ASSERT_EQ(run(Command::df_flush), Status::success);
  }
  // A processor whose host did not turn SNP on.
  void without_snp() {
    for (unsigned core = 0; core < platform.cores; ++core) {
      platform.msrs[{core, x86::msr::syscfg}] = x86::msr::syscfg_bits::mem_encryption_mod_en;
    }
  }
  void sev_init() {
    without_snp();
    ASSERT_EQ(run(Command::init, init_command()), Status::success);
    flush();
  }
  // SNP first, then SEV with a TMR of firmware pages; buffers that go back are firmware pages.
  void snp_and_sev_init() {
    init_and_flush();
    make_firmware(tmr, PageSize::size_2m);
    SevInit command = init_command();
    command.tmr_len = large_page_size;
    ASSERT_EQ(run(Command::init, command), Status::success);
  }
  SevPlatformStatus status() {
    EXPECT_EQ(psp.command(Command::platform_status, outside), Status::success);
    return get<SevPlatformStatus>(outside);
  }
  SevPlatformState sev_state() { return static_cast<SevPlatformState>(status().state); }

  // With buffers that the firmware writes in `outside`, which has no RMP entry.
  template <class T>
  Status run_out(Command command, T& value) {
    put(outside, value);
    const Status status = psp.command(command, outside);
    value = get<T>(outside);
    return status;
  }
  Status start(u32 policy, u32& handle, u32 share = 0) {
    SevLaunchStart command{};
    command.handle = share;
    command.policy = policy;
    const Status status = run_out(Command::launch_start, command);
    handle = command.handle;
    return status;
  }
  u32 started(u32 policy = 0) {
    u32 handle = 0;
    EXPECT_EQ(start(policy, handle), Status::success);
    EXPECT_NE(handle, 0u);
    return handle;
  }
  Status activate(u32 handle, Asid wanted) {
    return run(Command::activate, SevActivate{handle, number(wanted)});
  }
  u32 activated(u32 policy = 0) {
    const u32 handle = started(policy);
    EXPECT_EQ(activate(handle, (policy & es) != 0 ? es_asid : sev_asid), Status::success);
    return handle;
  }
  Status of_handle(Command command, u32 handle) { return run(command, SevHandleOnly{handle}); }
  Status update(u32 handle, SystemPhysical at, u64 bytes,
                Command command = Command::launch_update_data) {
    return run(command, SevLaunchUpdate{handle, 0, at.value(), static_cast<u32>(bytes)});
  }
  Status measure(u32 handle, SevMeasurement& measurement) {
    SevLaunchUpdate command{handle, 0, (outside + 0x1000).value(), sizeof measurement};
    const Status status = run_out(Command::launch_measure, command);
    measurement = get<SevMeasurement>(outside + 0x1000);
    return status;
  }
  u32 running(u32 policy = 0) {
    const u32 handle = activated(policy);
    SevMeasurement measurement;
    EXPECT_EQ(measure(handle, measurement), Status::success);
    EXPECT_EQ(of_handle(Command::launch_finish, handle), Status::success);
    return handle;
  }
  SevGuestStatus guest_status(u32 handle) {
    SevGuestStatus status{};
    status.handle = handle;
    EXPECT_EQ(run_out(Command::guest_status, status), Status::success);
    return status;
  }
  SevGuestState state_of_guest(u32 handle) {
    return static_cast<SevGuestState>(guest_status(handle).state);
  }
  SevCertificate exported_pdh(SevCertificateChain* chain = nullptr) {
    SevPdhCertExport command{};
    command.pdh_paddr = (outside + 0x1000).value();
    command.pdh_len = sizeof(SevCertificate);
    command.chain_paddr = (outside + 0x2000).value();
    command.chain_len = sizeof(SevCertificateChain);
    EXPECT_EQ(run_out(Command::pdh_cert_export, command), Status::success);
    if (chain != nullptr) {
      *chain = get<SevCertificateChain>(outside + 0x2000);
    }
    return get<SevCertificate>(outside + 0x1000);
  }
  void fill(SystemPhysical at, std::span<const u8> bytes) {
    dram.write(at, memory::KeyId::none, bytes);
  }
  Bytes bytes_at(SystemPhysical at, usize count, memory::KeyId key = memory::KeyId::none) {
    Bytes bytes(count);
    dram.read(at, key, bytes);
    return bytes;
  }
};

inline Bytes pattern(usize count, u8 first = 1) {
  Bytes bytes(count);
  for (usize at = 0; at < count; ++at) {
    bytes[at] = static_cast<u8>(first + at * 7);
  }
  return bytes;
}

inline Hash sha256_of(const Bytes& bytes) {
  Hash hash;
  unsigned size = 0;
  EXPECT_EQ(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr), 1);
  return hash;
}

}  // namespace softsnp::psp

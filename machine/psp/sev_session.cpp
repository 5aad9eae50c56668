#include "machine/psp/sev_session.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"

namespace softsnp::psp {

namespace {

Key128 subkey(const Key128& master_secret, std::string_view label) {
  Key128 key;
  derive_key(master_secret, label, {}, key);
  return key;
}

Sha256Digest policy_mac(const Key128& integrity, u32 policy) {
  u8 bytes[sizeof policy];
  store_le(bytes, policy);
  return hmac_sha256(integrity, bytes);
}

// Bytes and numbers one after the other.
class Message {
 public:
  Message& add(std::span<const u8> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Message& add(u8 value) {
    bytes_.push_back(value);
    return *this;
  }
  Message& add(u32 value) {
    u8 bytes[sizeof value];
    store_le(bytes, value);
    return add(std::span<const u8>(bytes));
  }
  Sha256Digest mac(const Key128& key) const { return hmac_sha256(key, bytes_); }

 private:
  std::vector<u8> bytes_;
};

}  // namespace

Key128 derive_master_secret(std::span<const u8> shared_x, SessionNonce nonce) {
  Key128 secret;
  derive_key(shared_x, "sev-master-secret", nonce, secret);
  return secret;
}

SevWrapKeys derive_wrap_keys(const Key128& master_secret) {
  return {subkey(master_secret, "sev-kek"), subkey(master_secret, "sev-kik")};
}

void seal_session(SevSession& session, const SevWrapKeys& wrap, const SevTransportKeys& keys,
                  u32 policy) {
  std::copy_n(keys.encryption.data(), 16, session.wrapped_keys);
  std::copy_n(keys.integrity.data(), 16, session.wrapped_keys + 16);
  aes_ctr(wrap.encryption, session.wrap_iv, session.wrapped_keys);
  store_le(session.wrap_mac, hmac_sha256(wrap.integrity, session.wrapped_keys));
  store_le(session.policy_mac, policy_mac(keys.integrity, policy));
}

bool open_session(const SevSession& session, const SevWrapKeys& wrap, u32 policy,
                  SevTransportKeys& keys) {
  if (!equal_macs(hmac_sha256(wrap.integrity, session.wrapped_keys), session.wrap_mac)) {
    return false;
  }
  u8 plain[sizeof session.wrapped_keys];
  std::copy_n(session.wrapped_keys, sizeof plain, plain);
  aes_ctr(wrap.encryption, session.wrap_iv, plain);
  const SevTransportKeys opened{load_le<Key128>(plain), load_le<Key128>(plain + 16)};
  if (!equal_macs(policy_mac(opened.integrity, policy), session.policy_mac)) {
    return false;
  }
  keys = opened;
  return true;
}

Sha256Digest measurement_mac(const Key128& integrity, const FirmwareVersion& version, u32 policy,
                             const Sha256Digest& launch_digest, SessionNonce nonce) {
  return Message()
      .add(static_cast<u8>(SevMacContext::measurement))
      .add(version.major)
      .add(version.minor)
      .add(version.build)
      .add(policy)
      .add(launch_digest)
      .add(nonce)
      .mac(integrity);
}

Sha256Digest packet_mac(const Key128& integrity, SevMacContext context,
                        const SevPacketHeader& header, std::span<const u8> data,
                        std::span<const u8> measurement) {
  const auto length = static_cast<u32>(data.size());
  return Message()
      .add(static_cast<u8>(context))
      .add(header.flags)
      .add(std::span<const u8>(header.iv))
      .add(length)
      .add(length)
      .add(data)
      .add(measurement)
      .mac(integrity);
}

bool equal_macs(std::span<const u8> a, std::span<const u8> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace softsnp::psp

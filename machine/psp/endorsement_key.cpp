#include "machine/psp/endorsement_key.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "machine/psp/aes_gcm.hpp"
#include "machine/psp/kdf.hpp"
#include "machine/psp/sha384.hpp"

namespace softsnp::psp {

namespace {

constexpr std::string_view vcek_label = "sev-versioned-chip-endorsement-key";
constexpr std::string_view vlek_label = "sev-versioned-loaded-attestation-key";
constexpr std::string_view wrapping_label = "vlek-wrapping-key";
constexpr usize components = sizeof(TcbVersion);

// One way: from a version number to a lower one. The component is part of each step, else the
// order of components would not matter.
Digest wind(Sha384& sha, Digest value, unsigned steps, u8 component) {
  for (; steps != 0; --steps) {
    value = sha(value.bytes, {&component, 1}, {});
  }
  return value;
}

EndorsementKey key_from_seed(const Digest& seed, std::string_view label) {
  std::array<u8, 56> random;  // 64 bits more than the curve's order
  derive_key(seed.bytes, label, {}, random);
  return {seed, P384().reduce(random)};
}

std::array<u8, 32> wrapping_key(const EndorsementKey& vcek) {
  std::array<u8, 32> key;
  derive_key(vcek.seed.bytes, wrapping_label, {}, key);
  return key;
}

std::span<const u8> authenticated(const WrappedVlek& wrapped) {
  return {reinterpret_cast<const u8*>(&wrapped) + WrappedVlek::authenticated_from,
          WrappedVlek::authenticated_bytes};
}

}  // namespace

EndorsementKey derive_vcek(const ChipSecret& secret, const TcbVersion& tcb) {
  Sha384 sha;
  auto seed = load_le<Digest>(secret.data());
  for (u8 at = 0; at < components; ++at) {
    seed = wind(sha, seed, 0xFFu - tcb.bytes[at], at);
  }
  return key_from_seed(seed, vcek_label);
}

std::optional<VlekHashstick> roll_back(const VlekHashstick& hashstick, const TcbVersion& made_for,
                                       const TcbVersion& wanted) {
  if (!no_component_above(wanted, made_for)) {
    return std::nullopt;
  }
  Sha384 sha;
  VlekHashstick wound = hashstick;
  for (u8 at = 0; at < components; ++at) {
    u8* const chain = wound.data() + at * digest_bytes;
    const unsigned steps = unsigned{made_for.bytes[at]} - wanted.bytes[at];
    store_le(chain, wind(sha, load_le<Digest>(chain), steps, at));
  }
  return wound;
}

std::optional<EndorsementKey> derive_vlek(const VlekHashstick& hashstick,
                                          const TcbVersion& made_for, const TcbVersion& wanted) {
  const auto wound = roll_back(hashstick, made_for, wanted);
  if (!wound) {
    return std::nullopt;
  }
  Sha384 sha;
  return key_from_seed(sha(*wound), vlek_label);
}

WrappedVlek wrap_vlek(const EndorsementKey& vcek, const VlekHashstick& hashstick,
                      const TcbVersion& tcb, const std::array<u8, 12>& iv) {
  WrappedVlek wrapped{};
  std::copy(iv.begin(), iv.end(), wrapped.iv);
  std::copy(hashstick.begin(), hashstick.end(), wrapped.hashstick);
  wrapped.tcb = tcb;
  const std::array<u8, 32> key = wrapping_key(vcek);
  const GcmTag tag = gcm_seal({key, wrapped.iv, authenticated(wrapped)}, wrapped.hashstick);
  std::copy(tag.begin(), tag.end(), wrapped.auth_tag);
  return wrapped;
}

std::optional<VlekHashstick> unwrap_vlek(const EndorsementKey& vcek, const WrappedVlek& wrapped) {
  auto hashstick = load_le<VlekHashstick>(wrapped.hashstick);
  const std::array<u8, 32> key = wrapping_key(vcek);
  if (!gcm_open({key, wrapped.iv, authenticated(wrapped)}, hashstick,
                load_le<GcmTag>(wrapped.auth_tag))) {
    return std::nullopt;
  }
  return hashstick;
}

}  // namespace softsnp::psp

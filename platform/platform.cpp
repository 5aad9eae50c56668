#include "platform/platform.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

#include "platform/product.hpp"
#include "platform/profile.hpp"

namespace softsnp::platform {

namespace {

constexpr psp::TcbVersion highest_tcb{{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

psp::EndorsementKey leaf_key(const Secrets& secrets, Leaf leaf, const psp::TcbVersion& tcb) {
  if (leaf == Leaf::vcek) {
    return psp::derive_vcek(secrets.chip, tcb);
  }
  const auto vlek = psp::derive_vlek(secrets.hashstick, highest_tcb, tcb);
  require(vlek.has_value());  // nothing is above the highest
  return *vlek;
}

// As libcrypto wants it: 04, then both coordinates big-endian.
Key libcrypto_key(const psp::EcdsaPublicKey& key) {
  constexpr usize bytes = 48;
  std::array<u8, 1 + 2 * bytes> point{4};
  std::reverse_copy(key.qx, key.qx + bytes, &point[1]);
  std::reverse_copy(key.qy, key.qy + bytes, &point[1 + bytes]);
  char group[] = "secp384r1";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
      OSSL_PARAM_construct_end()};
  const KeyContext context(required(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)));
  EVP_PKEY* made = nullptr;
  require(EVP_PKEY_fromdata_init(context.get()) == 1);
  require(EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY,
                            const_cast<OSSL_PARAM*>(parameters)) == 1);
  return Key(made);
}

void random_bytes(std::span<u8> bytes) {
  require(RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

}  // namespace

Secrets random_secrets() {
  Secrets secrets;
  random_bytes(secrets.chip);
  random_bytes(secrets.hashstick);
  return secrets;
}

psp::ChipId random_chip_id(psp::Product product) {
  psp::ChipId id{};
  random_bytes(std::span(id).first(hardware_id_bytes(product)));
  return id;
}

Platform make_platform(const Settings& settings, const Secrets& secrets, RootKeys keys) {
  Platform platform{settings, secrets, std::move(keys), {}};
  const Profile profile(platform.settings, platform.keys);
  Certificates& made = platform.certificates;
  made.ark = profile.ark();
  made.ask = profile.ask();
  made.asvk = profile.asvk();
  made.crl = profile.crl({});
  for (const Leaf leaf : {Leaf::vcek, Leaf::vlek}) {
    (leaf == Leaf::vcek ? made.vcek : made.vlek) =
        leaf_certificate(platform, leaf, settings.reported_tcb);
  }
  return platform;
}

psp::ProcessorIdentity identity(const Platform& platform) {
  psp::ProcessorIdentity result;
  result.tcb = platform.settings.tcb;
  result.committed_tcb = platform.settings.committed_tcb;
  result.chip_secret = platform.secrets.chip;
  result.chip_id = platform.settings.chip_id;
  return result;
}

Key leaf_public_key(const Settings& settings, const Secrets& secrets, Leaf leaf,
                    const psp::TcbComponents& tcb) {
  const auto key = leaf_key(secrets, leaf, psp::encode_tcb(settings.product, tcb));
  return libcrypto_key(psp::P384().public_key(key.private_key));
}

Der leaf_certificate(const Platform& platform, Leaf leaf, const psp::TcbComponents& tcb) {
  const Certificates& stored = platform.certificates;
  const Der& at_hand = leaf == Leaf::vcek ? stored.vcek : stored.vlek;
  if (tcb == platform.settings.reported_tcb && !at_hand.empty()) {
    return at_hand;
  }
  const Key key = leaf_public_key(platform.settings, platform.secrets, leaf, tcb);
  return Profile(platform.settings, platform.keys).leaf(leaf, tcb, *key);
}

const Der& signer_certificate(const Platform& platform, Leaf leaf) {
  return leaf == Leaf::vcek ? platform.certificates.ask : platform.certificates.asvk;
}

psp::WrappedVlek wrapped_vlek(const Platform& platform, const psp::TcbComponents& tcb) {
  const psp::TcbVersion version = psp::encode_tcb(platform.settings.product, tcb);
  const auto hashstick = psp::roll_back(platform.secrets.hashstick, highest_tcb, version);
  require(hashstick.has_value());
  // Key and plaintext are both functions of chip, hashstick and TCB: one message a key, so that an
  // IV cannot be used for two.
  constexpr std::array<u8, 12> iv{};
  return psp::wrap_vlek(psp::derive_vcek(platform.secrets.chip, version), *hashstick, version, iv);
}

Der revocation_list(const Platform& platform, std::vector<u32> revoked) {
  return Profile(platform.settings, platform.keys).crl(std::move(revoked));
}

}  // namespace softsnp::platform

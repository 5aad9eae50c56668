#include "machine/psp/sev_amd_chain.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "machine/psp/openssl_objects.hpp"
#include "machine/psp/sha384.hpp"

namespace softsnp::psp {

namespace {

using ParameterBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;

struct AmdCertificate {
  AmdCertificateHeader header{};
  std::span<const u8> signed_part;
  std::span<const u8> exponent;
  std::span<const u8> modulus;
  std::span<const u8> signature;
};

// Takes one certificate off the front of bytes.
std::optional<AmdCertificate> take(std::span<const u8>& bytes, SevKeyUsage usage) {
  if (bytes.size() < sizeof(AmdCertificateHeader)) {
    return std::nullopt;
  }
  AmdCertificate made;
  made.header = load_le<AmdCertificateHeader>(bytes.data());
  const u32 bits = made.header.modulus_bits;
  const usize part = bits / 8;
  if (made.header.version != AmdCertificateHeader::version_1 ||
      made.header.usage != static_cast<u32>(usage) || (bits != 2048 && bits != 4096) ||
      made.header.exponent_bits != bits || bytes.size() < sizeof made.header + 3 * part) {
    return std::nullopt;
  }
  made.signed_part = bytes.first(sizeof made.header + 2 * part);
  made.exponent = bytes.subspan(sizeof made.header, part);
  made.modulus = bytes.subspan(sizeof made.header + part, part);
  made.signature = bytes.subspan(sizeof made.header + 2 * part, part);
  bytes = bytes.subspan(sizeof made.header + 3 * part);
  return made;
}

Key load_key(const AmdCertificate& certificate) {
  const auto number = [](std::span<const u8> bytes) {
    return BigNumber(BN_lebin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  };
  const BigNumber modulus = number(certificate.modulus);
  const BigNumber exponent = number(certificate.exponent);
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

// RSASSA-PSS; the salt is as long as the hash. The signature is little-endian.
bool verify(const AmdCertificate& signer, std::span<const u8> message,
            std::span<const u8> signature, bool sha384) {
  const std::vector<u8> big_endian(signature.rbegin(), signature.rend());
  const Key key = load_key(signer);
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  const bool good = key && context &&
                    EVP_DigestVerifyInit_ex(context.get(), &options, sha384 ? "SHA384" : "SHA256",
                                            nullptr, nullptr, key.get(), nullptr) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1 &&
                    EVP_DigestVerify(context.get(), big_endian.data(), big_endian.size(),
                                     message.data(), message.size()) == 1;
  ERR_clear_error();
  return good;
}

bool signed_by(const AmdCertificate& certificate, const AmdCertificate& signer) {
  return std::equal(certificate.header.certifying_id,
                    certificate.header.certifying_id + sizeof certificate.header.certifying_id,
                    signer.header.key_id) &&
         certificate.signature.size() == signer.modulus.size() &&
         verify(signer, certificate.signed_part, certificate.signature,
                signer.header.modulus_bits == 4096);
}

bool cek_signed_by(const SevCertificate& cek, const AmdCertificate& ask) {
  const std::span<const u8> message{reinterpret_cast<const u8*>(&cek),
                                    SevCertificate::signed_bytes};
  for (const SevSignature& signature : cek.signatures) {
    const auto algorithm = static_cast<SevAlgorithm>(signature.algorithm);
    const bool sha384 = algorithm == SevAlgorithm::rsa_sha384;
    const std::span<const u8> bytes{reinterpret_cast<const u8*>(&signature.ecdsa),
                                    ask.modulus.size()};
    if (signature.usage == static_cast<u32>(SevKeyUsage::ask) &&
        (sha384 || algorithm == SevAlgorithm::rsa_sha256) && verify(ask, message, bytes, sha384)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Digest amd_key_digest(std::span<const u8> exponent, std::span<const u8> modulus) {
  Sha384 sha;
  return sha(exponent, modulus, {});
}

bool amd_chain_holds(std::span<const u8> certificates, const SevCertificate& cek,
                     const Digest& trusted_ark) {
  const std::optional<AmdCertificate> ask = take(certificates, SevKeyUsage::ask);
  const std::optional<AmdCertificate> ark = take(certificates, SevKeyUsage::ark);
  return ask && ark && certificates.empty() &&
         amd_key_digest(ark->exponent, ark->modulus) == trusted_ark && signed_by(*ark, *ark) &&
         signed_by(*ask, *ark) && cek_signed_by(cek, *ask);
}

}  // namespace softsnp::psp

// The certificates of a chain: names, profile, signatures, times, revocation. Firmware sheet 6.
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "attest/openssl.hpp"
#include "attest/verify.hpp"

namespace softsnp::attest {
namespace {

using Problems = std::vector<std::string>;

constexpr long x509_v3 = 2;
constexpr int rsa_bits = 4096;

// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes: what libcrypto marks as fit
// for TLS is exactly equal digests and a salt as long as they are.
bool is_pss_sha384(X509* certificate) {
  int digest = 0, kind = 0, bits = 0;
  u32 flags = 0;
  return X509_get_signature_info(certificate, &digest, &kind, &bits, &flags) == 1 &&
         digest == NID_sha384 && kind == NID_rsassaPss && (flags & X509_SIG_INFO_TLS) != 0;
}

bool is_p384(EVP_PKEY* key) {
  char group[32] = {};
  return key != nullptr && EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                        nullptr) == 1 &&
         std::string_view(group) == "secp384r1";
}

// Larger keys, and other kinds, could be made to take long.
bool is_signed_by(X509* certificate, EVP_PKEY* key) {
  return key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) <= rsa_bits &&
         X509_verify(certificate, key) == 1;
}
bool is_signed_by(X509_CRL* list, EVP_PKEY* key) {
  return key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) <= rsa_bits &&
         X509_CRL_verify(list, key) == 1;
}

void check_signed(Problems& problems, const Certificate& certificate, const Certificate& issuer) {
  if (X509_get_version(certificate.handle()) != x509_v3) {
    problems.emplace_back("expected X.509 version 3");
  }
  if (!is_pss_sha384(certificate.handle())) {
    problems.emplace_back("expected a signature RSASSA-PSS with SHA-384 and a salt of 48 bytes");
  }
  if (X509_NAME_cmp(X509_get_issuer_name(certificate.handle()),
                    X509_get_subject_name(issuer.handle())) != 0) {
    problems.push_back(
        fmt::format("names another issuer than {} ({})", issuer.common_name(), issuer.file()));
  }
  if (!is_signed_by(certificate.handle(), issuer.key())) {
    problems.push_back(
        fmt::format("the signature is not by {} ({})", issuer.common_name(), issuer.file()));
  }
  ERR_clear_error();
}

void check_authority(Problems& problems, const Certificate& certificate) {
  EVP_PKEY* const key = certificate.key();
  const bool rsa = key != nullptr && EVP_PKEY_is_a(key, "RSA") == 1;
  if (!rsa || EVP_PKEY_get_bits(key) != rsa_bits) {
    problems.emplace_back("expected a key RSA-4096");
  }
  if (X509_check_ca(certificate.handle()) != 1) {
    problems.emplace_back("is not marked as a certificate authority");
  }
  if ((X509_get_key_usage(certificate.handle()) & KU_KEY_CERT_SIGN) == 0) {
    problems.emplace_back("its key usage does not allow signing certificates");
  }
  if ((X509_get_extension_flags(certificate.handle()) & EXFLAG_CRITICAL) != 0) {
    problems.emplace_back("has a critical extension that is not known");
  }
}

std::string label(const Certificate& certificate) {
  return fmt::format("{} ({})", certificate.common_name(), certificate.file());
}

void check_ark(Verdict& verdict, const Chain& chain) {
  Problems problems;
  check_authority(problems, chain.ark);
  check_signed(problems, chain.ark, chain.ark);
  verdict.judge(check::ark, problems, label(chain.ark) + " is signed by itself");
}

void check_ask(Verdict& verdict, const Chain& chain) {
  Problems problems;
  check_authority(problems, chain.ask);
  check_signed(problems, chain.ask, chain.ark);
  if (chain.ask.product() != chain.ark.product()) {
    problems.push_back(fmt::format("{} is of another product than {}", chain.ask.common_name(),
                                   chain.ark.common_name()));
  }
  verdict.judge(check::ask, problems, label(chain.ask) + " is signed by the ARK");
}

void check_leaf_certificate(Verdict& verdict, const Chain& chain) {
  Problems problems;
  if (!is_p384(chain.leaf.key())) {
    problems.emplace_back("expected a key on P-384");
  }
  check_signed(problems, chain.leaf, chain.ask);
  verdict.judge(check::leaf, problems,
                fmt::format("{} is signed by the {}", label(chain.leaf), name(*chain.ask.role())));
}

Problems time_problems(const Chain& chain, i64 at) {
  Problems problems;
  for (const Certificate* const one : {&chain.ark, &chain.ask, &chain.leaf}) {
    const auto period = one->validity();
    if (!period) {
      problems.push_back(label(*one) + " has no readable validity");
    } else if (at < period->first) {
      problems.push_back(
          fmt::format("{} is not valid before {}", label(*one), time_text(period->first)));
    } else if (at > period->last) {
      problems.push_back(fmt::format("{} expired on {}", label(*one), time_text(period->last)));
    }
  }
  return problems;
}

// An extension that must be understood and is not could narrow the list (deltas, other issuers).
bool has_unknown_critical(const X509_CRL* list) {
  for (int at = -1; (at = X509_CRL_get_ext_by_critical(list, 1, at)) >= 0;) {
    const X509_EXTENSION* const found = X509_CRL_get_ext(list, at);
    const int kind = OBJ_obj2nid(X509_EXTENSION_get_object(const_cast<X509_EXTENSION*>(found)));
    if (kind != NID_issuing_distribution_point) {
      return true;
    }
  }
  return false;
}

void check_list(Problems& problems, const RevocationList& list, const Chain& chain, i64 at) {
  const std::string& file = list.file();
  if (X509_NAME_cmp(X509_CRL_get_issuer(list.handle()),
                    X509_get_subject_name(chain.ark.handle())) != 0 ||
      !is_signed_by(list.handle(), chain.ark.key())) {
    problems.push_back(fmt::format("the list {} is not signed by {}", file, label(chain.ark)));
  }
  ERR_clear_error();
  const auto period = list.validity();
  if (!period || !period->contains(at)) {
    problems.push_back(fmt::format("the list {} is not of this time{}", file,
                                   period ? ": next update " + time_text(period->last) : ""));
  }
  if (has_unknown_critical(list.handle())) {
    problems.push_back(fmt::format("the list {} has a critical extension not known here", file));
  }
  for (const Certificate* const one : {&chain.ask, &chain.leaf}) {
    if (list.lists(*one)) {
      problems.push_back(fmt::format("{} is revoked by {}", label(*one), file));
    }
  }
}

}  // namespace

void check_chain(Verdict& verdict, const Chain& chain) {
  check_ark(verdict, chain);
  check_ask(verdict, chain);
  check_leaf_certificate(verdict, chain);
}

void check_times(Verdict& verdict, const Chain& chain,
                 const std::vector<RevocationList>& revocations, i64 at) {
  verdict.judge(check::validity, time_problems(chain, at), "all valid at " + time_text(at));
  if (revocations.empty()) {
    verdict.skip(check::revocation, "no revocation list was given");
    return;
  }
  Problems problems;
  for (const RevocationList& list : revocations) {
    check_list(problems, list, chain, at);
  }
  verdict.judge(check::revocation, problems, "neither the leaf nor its issuer is revoked");
}

}  // namespace softsnp::attest

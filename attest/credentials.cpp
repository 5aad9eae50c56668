#include "attest/credentials.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>

#include "attest/certificate_table.hpp"
#include "attest/openssl.hpp"

namespace softsnp::attest {
namespace {

using Done = Result<void, std::string>;
using Bytes = std::span<const u8>;

constexpr std::string_view pem_mark = "-----BEGIN ";

Done add_certificate(std::vector<Certificate>& to, Certificate certificate) {
  if (!certificate.role()) {
    return Failure{
        certificate.file() +
        ": certificate: expected the common name ARK-, SEV- or SEV-VLEK-Milan, -Genoa or "
        "-Turin, or SEV-VCEK or SEV-VLEK"};
  }
  const bool known = std::any_of(
      to.begin(), to.end(), [&](const Certificate& other) { return other.same_as(certificate); });
  if (!known) {
    to.push_back(std::move(certificate));
  }
  return {};
}

Done add_certificate_der(std::vector<Certificate>& to, const std::string& name, Bytes der) {
  auto certificate = Certificate::from_der(name, der);
  return certificate ? add_certificate(to, std::move(*certificate))
                     : Done(Failure{name + ": certificate: expected X.509 in DER"});
}

Done add_crl_der(Credentials& to, const std::string& name, Bytes der) {
  auto list = RevocationList::from_der(name, der);
  if (!list) {
    return Failure{name + ": revocation list: expected X.509 in DER"};
  }
  to.revocations.push_back(std::move(*list));
  return {};
}

struct PemBlock {
  char* label = nullptr;
  char* header = nullptr;
  u8* data = nullptr;
  long length = 0;

  PemBlock() = default;
  PemBlock(const PemBlock&) = delete;
  PemBlock& operator=(const PemBlock&) = delete;
  ~PemBlock() {
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  bool read(BIO* from) { return PEM_read_bio(from, &label, &header, &data, &length) == 1; }
  Bytes der() const { return {data, static_cast<usize>(length)}; }
};

Done add_block(Credentials& to, const std::string& name, const PemBlock& block) {
  const std::string_view label = block.label;
  if (label == PEM_STRING_X509 || label == PEM_STRING_X509_OLD) {
    return add_certificate_der(to.certificates, name, block.der());
  }
  if (label == PEM_STRING_X509_CRL) {
    return add_crl_der(to, name, block.der());
  }
  return Failure{name + ": PEM: expected blocks CERTIFICATE or X509 CRL"};
}

Done add_pem(Credentials& to, const std::string& name, Bytes file) {
  const MemoryHandle memory(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
  for (usize count = 0;; ++count) {
    PemBlock block;
    if (!block.read(memory.get())) {
      const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
      ERR_clear_error();
      return at_end && count != 0 ? Done() : Done(Failure{name + ": PEM: malformed"});
    }
    if (Done done = add_block(to, name, block); !done) {
      return done;
    }
  }
}

Done add_table(Credentials& to, const std::string& name, Bytes file) {
  const auto entries = read_certificate_table(name, file);
  if (!entries) {
    return Failure{entries.error()};
  }
  if (entries->empty()) {
    return Failure{name + ": certificate table: is empty"};
  }
  namespace guid = table_guid;
  for (const TableEntry& entry : *entries) {
    Done done;
    if (entry.guid == guid::crl) {
      done = add_crl_der(to, name, entry.blob);
    } else if (entry.guid == guid::vcek || entry.guid == guid::vlek || entry.guid == guid::ask ||
               entry.guid == guid::ark) {
      done = add_certificate_der(to.from_host, name, entry.blob);
    }
    if (!done) {
      return done;
    }
  }
  return {};
}

using Candidates = std::vector<const Certificate*>;

Candidates of_role(const std::vector<Certificate>& all, CertificateRole role) {
  Candidates found;
  for (const Certificate& certificate : all) {
    if (certificate.role() == role) {
      found.push_back(&certificate);
    }
  }
  return found;
}

// The user's and the host's, the same one once.
Candidates of_role(const Credentials& credentials, CertificateRole role) {
  Candidates found = of_role(credentials.certificates, role);
  for (const Certificate* const certificate : of_role(credentials.from_host, role)) {
    if (std::none_of(found.begin(), found.end(),
                     [&](const Certificate* other) { return other->same_as(*certificate); })) {
      found.push_back(certificate);
    }
  }
  return found;
}

Failure<std::string> ambiguous(CertificateRole role, const Candidates& candidates) {
  return Failure{fmt::format("{}: another {} certificate than the one in {}: which is meant?",
                             candidates[1]->file(), name(role), candidates[0]->file())};
}

// Of several, the one that the certificate below names.
Result<Certificate, std::string> pick(Candidates candidates, CertificateRole role,
                                      const Certificate& below) {
  if (candidates.size() > 1) {
    const X509_NAME* const issuer = X509_get_issuer_name(below.handle());
    Candidates named;
    for (const Certificate* const candidate : candidates) {
      if (X509_NAME_cmp(X509_get_subject_name(candidate->handle()), issuer) == 0) {
        named.push_back(candidate);
      }
    }
    if (named.size() != 1) {
      return ambiguous(role, named.empty() ? candidates : named);
    }
    candidates = named;
  }
  if (candidates.empty()) {
    return Failure{
        fmt::format("{}: its issuer's certificate ({}) was not given", below.file(), name(role))};
  }
  return *candidates[0];
}

Result<Certificate, std::string> choose_leaf(const Credentials& credentials, psp::SigningKey key) {
  const CertificateRole wanted =
      key == psp::SigningKey::vlek ? CertificateRole::vlek : CertificateRole::vcek;
  const CertificateRole other =
      wanted == CertificateRole::vlek ? CertificateRole::vcek : CertificateRole::vlek;
  for (const CertificateRole role : {wanted, other}) {
    const Candidates candidates = of_role(credentials, role);
    if (candidates.size() > 1) {
      return ambiguous(role, candidates);
    }
    if (candidates.size() == 1) {
      return *candidates[0];
    }
  }
  return Failure{std::string("no VCEK or VLEK certificate was given")};
}

}  // namespace

Done add_credentials(Credentials& to, const std::string& name, Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.find(pem_mark) != std::string_view::npos) {
    return add_pem(to, name, file);
  }
  if (auto certificate = Certificate::from_der(name, file)) {
    return add_certificate(to.certificates, std::move(*certificate));
  }
  if (auto list = RevocationList::from_der(name, file)) {
    to.revocations.push_back(std::move(*list));
    return {};
  }
  constexpr u8 der_sequence = 0x30;
  if (file.empty() || file[0] == der_sequence) {
    return Failure{name + ": expected an X.509 certificate or revocation list in PEM or DER"};
  }
  return add_table(to, name, file);
}

Result<Chain, std::string> choose_chain(const Credentials& credentials, psp::SigningKey key) {
  const auto leaf = choose_leaf(credentials, key);
  if (!leaf) {
    return Failure{leaf.error()};
  }
  const CertificateRole leaf_role = *leaf->role();
  const CertificateRole ask_role =
      leaf_role == CertificateRole::vlek ? CertificateRole::asvk : CertificateRole::ask;
  const auto ask = pick(of_role(credentials, ask_role), ask_role, *leaf);
  if (!ask) {
    return Failure{ask.error()};
  }
  const Candidates roots = of_role(credentials.certificates, CertificateRole::ark);
  const Candidates hosts = of_role(credentials.from_host, CertificateRole::ark);
  if (roots.empty() && !hosts.empty()) {
    return Failure{
        hosts[0]->file() +
        ": the ARK in a certificate table comes from the host and cannot be trusted: give "
        "the one you trust as a certificate"};
  }
  const auto ark = pick(roots, CertificateRole::ark, *ask);
  if (!ark) {
    return Failure{ark.error()};
  }
  return Chain{*ark, *ask, *leaf, leaf_role};
}

}  // namespace softsnp::attest

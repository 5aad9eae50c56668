// The certificates and revocation lists a verifier is given, and the chain that goes with a report.
#pragma once

#include "arch/psp/attestation_report.hpp"
#include "attest/certificate.hpp"

namespace softsnp::attest {

struct Credentials {
  std::vector<Certificate> certificates;
  // Out of a certificate table: the host's word. Good to build a chain with, not to trust.
  std::vector<Certificate> from_host;
  std::vector<RevocationList> revocations;
};

// A file of certificates and revocation lists: PEM (any number), DER (one), or the certificate
// table of an extended request. One line about what is in it instead.
Result<void, std::string> add_credentials(Credentials& to, const std::string& name,
                                          std::span<const u8> file);

// From the root, which is trusted because the user gave it, to whom signed the report.
struct Chain {
  Certificate ark;
  Certificate ask;  // ASK or ASVK
  Certificate leaf;
  CertificateRole leaf_role;
};

// One line about what is missing or ambiguous. Nothing is verified here. Without a leaf of the
// report's kind, one of the other kind.
Result<Chain, std::string> choose_chain(const Credentials& credentials, psp::SigningKey key);

}  // namespace softsnp::attest

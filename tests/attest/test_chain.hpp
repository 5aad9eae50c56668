// AMD's hierarchy as a test makes it: ARK, ASK or ASVK, VCEK or VLEK, and revocation lists, by
// libcrypto alone. Firmware sheet 6.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "arch/psp/attestation_report.hpp"
#include "attest/openssl.hpp"

namespace softsnp::attest::test {

using Bytes = std::vector<u8>;

inline constexpr i64 year = 365 * 86400;
inline constexpr i64 test_time = 1'800'000'000;  // in 2027

// RSA keys take long to find: made once, the same for all products.
struct AuthorityKeys {
  KeyHandle ark, ask, stranger;
};
const AuthorityKeys& authority_keys();

KeyHandle make_rsa_key(unsigned bits);
KeyHandle make_ec_key(const char* group);
// On P-384; big-endian coordinates.
KeyHandle known_public_key(const Bytes& qx, const Bytes& qy);

struct CertificateSpec {
  std::string subject, issuer;  // common names
  long serial = 0;
  i64 first = test_time - year, last = test_time + year;
  EVP_PKEY* key = nullptr;
  EVP_PKEY* signer = nullptr;
  bool authority = false;
  bool pss = true;
  const char* digest = "SHA384";
  int salt = -1;  // bytes; -1: as many as the digest has
  // AMD's extensions of a leaf: the OID's suffix and the contents.
  std::vector<std::pair<std::string, Bytes>> extensions = {};
};
Bytes make_certificate(const CertificateSpec& spec);

struct RevocationSpec {
  std::string issuer;
  EVP_PKEY* signer = nullptr;
  std::vector<long> serials;
  i64 first = test_time - year, last = test_time + year;
};
Bytes make_revocation_list(const RevocationSpec& spec);

Bytes der_integer(u8 value);
Bytes der_text(const std::string& text);

struct ChainSpec {
  psp::Product product = psp::Product::genoa;
  bool vlek = false;
  psp::TcbComponents tcb{0, 10, 1, 0x16, 0x54};
  Bytes chip_id = Bytes(64, 0xC1);
  std::string product_name;  // empty: as hardware has it
  const char* curve = "P-384";
  long ask_serial = 0, leaf_serial = 0x77;
};

std::string product_text(psp::Product product);
long ask_serial(psp::Product product);
std::vector<std::pair<std::string, Bytes>> leaf_extension_list(const ChainSpec& spec);

// DER. leaf_key signs reports.
struct TestChain {
  Bytes ark, ask, leaf;
  KeyHandle leaf_key;
};
TestChain make_chain(const ChainSpec& spec);
// The specification of the leaf alone, to be changed before it is made.
CertificateSpec leaf_spec(const ChainSpec& spec, EVP_PKEY* key);

// Signs bytes 000 to 29F.
void sign_report(psp::AttestationReport& report, EVP_PKEY* key);

}  // namespace softsnp::attest::test

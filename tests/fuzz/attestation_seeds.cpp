#include "tests/fuzz/attestation_seeds.hpp"

#include <openssl/pem.h>

#include <stdexcept>

#include "tests/attest/known_id_block.hpp"
#include "tests/attest/table.hpp"
#include "tests/attest/tampers.hpp"
#include "tests/attest/test_chain.hpp"

namespace softsnp::fuzz {
namespace {

namespace at = attest::test;
using Bytes = std::vector<u8>;

void add(Bytes& to, const Bytes& from) {
  to.insert(to.end(), from.begin(), from.end());
}

Bytes with_length(const Bytes& file) {
  Bytes out{static_cast<u8>(file.size()), static_cast<u8>(file.size() >> 8)};
  add(out, file);
  return out;
}

Bytes with_policy(const Bytes& report) {
  const std::string policy = at::exact_policy(at::fields_of(report));
  Bytes out = with_length({policy.begin(), policy.end()});
  add(out, report);
  return out;
}

Bytes pem_of(const attest::KeyHandle& key) {
  const attest::MemoryHandle memory(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
      1) {
    throw std::runtime_error("libcrypto writes no PEM");
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, text + size};
}

// Certificates with small keys: the target does not look at the size before it reads them.
at::CertificateSpec small_certificate(const char* subject, const char* issuer, EVP_PKEY* key,
                                      EVP_PKEY* signer) {
  at::CertificateSpec spec;
  spec.subject = subject;
  spec.issuer = issuer;
  spec.key = key;
  spec.signer = signer;
  spec.authority = true;
  return spec;
}

}  // namespace

Files report_seeds() {
  Files files;
  for (const u8 version : {u8{2}, u8{3}, u8{4}, u8{5}}) {
    Bytes report = at::known_report();
    report[0] = version;
    if (version > 2) {
      report[0x188] = 0x19;
      report[0x189] = 1;
    }
    files.push_back(with_policy(report));
  }
  Bytes message(0x20);
  message[4] = 0xA0;
  message[5] = 0x04;
  add(message, at::known_report());
  Bytes without_policy{0, 0};
  add(without_policy, message);
  files.push_back(without_policy);
  return files;
}

Files certificate_seeds() {
  const attest::KeyHandle key = at::make_rsa_key(1024 + 512);
  Bytes files, leaves[2], table;
  const Bytes ark =
      at::make_certificate(small_certificate("ARK-Milan", "ARK-Milan", key.get(), key.get()));
  const Bytes ask =
      at::make_certificate(small_certificate("SEV-Milan", "ARK-Milan", key.get(), key.get()));
  const attest::KeyHandle leaf_key = at::make_ec_key("P-384");
  for (const bool vlek : {false, true}) {
    at::ChainSpec spec;
    spec.product = vlek ? psp::Product::turin : psp::Product::milan;
    spec.vlek = vlek;
    at::CertificateSpec leaf = at::leaf_spec(spec, leaf_key.get());
    leaf.signer = key.get();
    leaves[vlek ? 1 : 0] = at::make_certificate(leaf);
  }
  const Bytes list = at::make_revocation_list({"ARK-Milan", key.get(), {1, 2}});
  for (const Bytes& one : {ark, ask, leaves[0], list}) {
    add(files, with_length(one));
  }
  namespace guid = attest::table_guid;
  add(table,
      with_length(at::certificate_table(
          {{guid::vcek, leaves[0]}, {guid::ask, ask}, {guid::ark, ark}, {guid::crl, list}})));
  add(table, with_length(ark));
  const std::string junk = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  return {files, table, with_length(leaves[1]), with_length({junk.begin(), junk.end()})};
}

Files id_block_seeds() {
  const Bytes block = at::raw(at::known_block());
  const Bytes auth = at::raw(at::known_auth());
  Bytes both = block;
  add(both, auth);
  return {block, auth, both, pem_of(at::make_ec_key("P-384"))};
}

}  // namespace softsnp::fuzz

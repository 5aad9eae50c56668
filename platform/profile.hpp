// AMD's certificate profile: which fields and extensions each kind has. Firmware sheet 6.
#pragma once

#include "platform/platform.hpp"
#include "platform/signed_object.hpp"

namespace softsnp::platform {

// settings and keys must outlive it.
class Profile {
 public:
  // Certificates, or the parts of them that are signed, to compare with.
  enum class Output : u8 { certificate, tbs };

  Profile(const Settings& settings, const RootKeys& keys, Output output = Output::certificate)
      : settings_(settings), keys_(keys), output_(output) {}

  Der ark() const;
  Der ask() const;
  Der asvk() const;
  Der crl(std::vector<u32> revoked) const;
  Der leaf(Leaf leaf, const psp::TcbComponents& tcb, EVP_PKEY& key) const;

 private:
  std::string root_name() const;
  std::string signer_name(Leaf leaf) const;
  Der signer(Leaf leaf) const;
  Der make(const CertificateFields& fields, EVP_PKEY& key, EVP_PKEY& issuer_key) const;

  const Settings& settings_;
  const RootKeys& keys_;
  Output output_;
};

// https://kdsintf.amd.com/vcek/v1/P/crl, and the VLEK's.
std::string crl_url(psp::Product product, Leaf leaf);

}  // namespace softsnp::platform

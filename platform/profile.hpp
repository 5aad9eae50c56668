// AMD's certificate profile: which fields and extensions each kind has. Firmware sheet 6.
#pragma once

#include "platform/platform.hpp"

namespace softsnp::platform {

// settings and keys must outlive it.
class Profile {
 public:
  Profile(const Settings& settings, const RootKeys& keys) : settings_(settings), keys_(keys) {}

  Der ark() const;
  Der ask() const;
  Der asvk() const;
  Der crl(std::vector<u32> revoked) const;
  Der leaf(Leaf leaf, const psp::TcbComponents& tcb, EVP_PKEY& key) const;

 private:
  std::string root_name() const;
  std::string signer_name(Leaf leaf) const;
  Der signer(Leaf leaf) const;

  const Settings& settings_;
  const RootKeys& keys_;
};

// https://kdsintf.amd.com/vcek/v1/P/crl, and the VLEK's.
std::string crl_url(psp::Product product, Leaf leaf);

}  // namespace softsnp::platform

// SHA-384 with one context for its lifetime: launching a large guest takes a million short hashes,
// and fetching the algorithm for each would cost more than hashing.
#pragma once

#include <memory>
#include <span>

#include "arch/psp/page_info.hpp"

namespace softsnp::psp {

class Sha384 {
 public:
  Sha384();
  ~Sha384();
  Sha384(const Sha384&) = delete;
  Sha384& operator=(const Sha384&) = delete;

  Digest operator()(std::span<const u8> bytes) { return (*this)(bytes, {}, {}); }
  // Hash of the parts one after the other.
  Digest operator()(std::span<const u8> a, std::span<const u8> b, std::span<const u8> c);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace softsnp::psp

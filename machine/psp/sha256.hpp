// SHA-256 over bytes that come in pieces. A copyable value: part of a guest's state.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "base/types.hpp"

namespace softsnp::psp {

using Sha256Digest = std::array<u8, 32>;

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream& other);
  Sha256Stream& operator=(const Sha256Stream& other);

  void add(std::span<const u8> bytes);
  // Of all bytes so far; more may follow.
  Sha256Digest digest() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Sha256Digest sha256(std::span<const u8> bytes);

}  // namespace softsnp::psp

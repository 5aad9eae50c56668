// SHA-2 by libcrypto.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "arch/psp/page_info.hpp"
#include "base/types.hpp"

namespace softsnp::attest {

using Sha256Sum = std::array<u8, 32>;

// One of libcrypto's digests, to be used again after each sum.
class Hasher {
 public:
  // libcrypto's name. A libcrypto without it stops the program: nothing here can work.
  explicit Hasher(const char* algorithm);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void update(std::span<const u8> bytes);
  // out: as long as the algorithm's sum. The next update begins a new one.
  void finish(u8* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Sha384 {
 public:
  psp::Digest operator()(std::span<const u8> bytes);

 private:
  Hasher hasher_{"SHA384"};
};

// libcrypto without its configuration file, if called before anything else of it: no sum and no
// signature depends on that file, and reading it costs more than summing a mebibyte.
void start_libcrypto();

Sha256Sum sha256(std::span<const u8> bytes);

}  // namespace softsnp::attest

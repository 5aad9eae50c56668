#include "machine/psp/chip.hpp"

#include <algorithm>

#include "machine/psp/drbg.hpp"

namespace softsnp::psp {

namespace {
constexpr usize turin_id_bytes = 8;
}  // namespace

Chip make_chip(const PspConfig& config) {
  Sha384 sha;
  Chip chip;
  derive(config.seed, RandomStream::chip_secret, 0, sha, chip.secret);
  derive(config.seed, RandomStream::chip_id, 0, sha, chip.id);
  chip.secret = config.chip_secret.value_or(chip.secret);
  chip.id = config.chip_id.value_or(chip.id);
  if (config.product == Product::turin) {
    std::fill(chip.id.begin() + turin_id_bytes, chip.id.end(), u8{0});
  }
  return chip;
}

}  // namespace softsnp::psp

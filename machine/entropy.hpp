// Entropy of the run: a SplitMix64-seeded xoshiro256** stream for RDRAND and RDSEED. Not secret by
// design: the same seed gives the same run (docs/architecture.md, "State").
#pragma once

#include <array>

#include "base/types.hpp"

namespace softsnp::machine {

class Entropy {
 public:
  explicit Entropy(u64 seed) {
    for (u64& word : state_) {
      seed += 0x9E3779B97F4A7C15;
      u64 z = seed;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      word = z ^ (z >> 31);
    }
  }
  u64 next() {
    const u64 result = rotate(state_[1] * 5, 7) * 9;
    const u64 t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

 private:
  static u64 rotate(u64 x, unsigned k) { return (x << k) | (x >> (64 - k)); }
  std::array<u64, 4> state_{};
};

}  // namespace softsnp::machine

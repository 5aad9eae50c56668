// Deterministic random values that favour the corners.
#pragma once

#include "base/types.hpp"

namespace softsnp::cpu::test {

// splitmix64: public-domain construction by Sebastiano Vigna.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  u64 below(u64 n) { return next() % n; }
  bool chance(u64 one_in) { return below(one_in) == 0; }
  // Zero, ones, single bits, small numbers, sign boundaries of all sizes, or anything.
  u64 value() {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return ~u64{0};
      case 2:
        return u64{1} << below(64);
      case 3:
        return below(256) - 128;
      case 4:
        return (u64{1} << ((8u << below(4)) - 1)) - 1 + below(2);
      case 5:
        return next() >> below(64);
      default:
        return next();
    }
  }

 private:
  u64 state_;
};

}  // namespace softsnp::cpu::test

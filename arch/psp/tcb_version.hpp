// TCB_VERSION: eight security version numbers. Firmware sheet 5.2 (56860 "TCB_VERSION").
// Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

enum class Product : u8 { milan, genoa, turin };

struct TcbVersion {
  u8 bytes[8] = {};
  friend constexpr bool operator==(const TcbVersion&, const TcbVersion&) = default;
};
static_assert(sizeof(TcbVersion) == 8);

// Components by name; where they stand in the eight bytes depends on the product.
struct TcbComponents {
  u8 fmc = 0;  // Turin only
  u8 boot_loader = 0;
  u8 tee = 0;
  u8 snp = 0;
  u8 microcode = 0;
  friend constexpr bool operator==(const TcbComponents&, const TcbComponents&) = default;
};

constexpr TcbVersion encode_tcb(Product product, const TcbComponents& c) {
  if (product == Product::turin) {
    return {{c.fmc, c.boot_loader, c.tee, c.snp, 0, 0, 0, c.microcode}};
  }
  return {{c.boot_loader, c.tee, 0, 0, 0, 0, c.snp, c.microcode}};
}

constexpr TcbComponents decode_tcb(Product product, const TcbVersion& v) {
  if (product == Product::turin) {
    return {v.bytes[0], v.bytes[1], v.bytes[2], v.bytes[3], v.bytes[7]};
  }
  return {0, v.bytes[0], v.bytes[1], v.bytes[6], v.bytes[7]};
}

// The number by which SNP_CONFIG compares two versions (firmware sheet 1.6, SNP_CONFIG). The
// sheet's formula has no FMC, which is Turin's: it runs first there, so it weighs most.
constexpr u64 tcb_order(const TcbComponents& c) {
  return u64{c.fmc} << 32 | u64{c.boot_loader} << 24 | u64{c.tee} << 16 | u64{c.snp} << 8 |
         c.microcode;
}

// No component of a is above that of b.
constexpr bool no_component_above(const TcbVersion& a, const TcbVersion& b) {
  for (unsigned at = 0; at < sizeof a.bytes; ++at) {
    if (a.bytes[at] > b.bytes[at]) {
      return false;
    }
  }
  return true;
}

}  // namespace softsnp::psp

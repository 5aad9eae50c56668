// What distinguishes one secure processor from another: seed, product, firmware version, TCB.
#pragma once

#include "arch/psp/tcb_version.hpp"

namespace softsnp::psp {

struct FirmwareVersion {
  u8 major = 1;
  u8 minor = 55;
  u8 build = 25;
  constexpr u16 abi() const { return static_cast<u16>(major << 8 | minor); }
  friend constexpr bool operator==(const FirmwareVersion&, const FirmwareVersion&) = default;
};

// Security version numbers of a plausible, recent firmware release of each product. Only their
// places in TCB_VERSION are architecture (firmware sheet 5.2).
constexpr TcbComponents default_tcb(Product product) {
  switch (product) {
    case Product::milan:
      return {0, 0x04, 0x00, 0x18, 0xDB};
    case Product::genoa:
      return {0, 0x0A, 0x00, 0x17, 0x54};
    case Product::turin:
      return {0x01, 0x01, 0x01, 0x04, 0x51};
  }
  return {};
}

struct PspConfig {
  u64 seed = 0;  // all keys, identities and nonces derive from it
  Product product = Product::genoa;
  FirmwareVersion version{};  // the behavioural baseline of the firmware sheet
  TcbComponents tcb = default_tcb(Product::genoa);
};

}  // namespace softsnp::psp

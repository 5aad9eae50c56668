// Which quadwords of a VMSA register protection covers. Firmware sheet 3.1, hardware sheet 8.1
// (VmsaRegProt; Genoa). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::psp {

// Bit n: quadword n of the VMSA is stored XORed with the nonce at 300h.
struct VmsaTweakBitmap {
  u8 bytes[64] = {};
  constexpr bool covers(unsigned quadword) const {
    return ((bytes[quadword / 8] >> (quadword % 8)) & 1) != 0;
  }
  friend constexpr bool operator==(const VmsaTweakBitmap&, const VmsaTweakBitmap&) = default;
};
static_assert(sizeof(VmsaTweakBitmap) == 64);

constexpr VmsaTweakBitmap make_genoa_tweak_bitmap() {
  VmsaTweakBitmap map;
  map.bytes[5] = 0x80;   // RIP
  map.bytes[7] = 0x88;   // RSP, RAX
  map.bytes[12] = 0xEE;  // RCX, RDX, RBX, RBP, RSI, RDI; not 320h
  map.bytes[13] = 0xFF;  // R8..R15
  map.bytes[16] = 0xF0;  // x87, XMM, YMM: 420h..66Fh
  for (unsigned at = 17; at <= 24; ++at) {
    map.bytes[at] = 0xFF;
  }
  map.bytes[25] = 0x3F;
  for (unsigned at = 38; at <= 62; ++at) {  // opmask and ZMM: 980h..FBFh
    map.bytes[at] = 0xFF;
  }
  return map;
}
inline constexpr VmsaTweakBitmap genoa_tweak_bitmap = make_genoa_tweak_bitmap();

}  // namespace softsnp::psp

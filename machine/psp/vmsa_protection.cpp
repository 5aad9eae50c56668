#include "machine/psp/vmsa_protection.hpp"

#include "arch/snp/features.hpp"
#include "base/bits.hpp"
#include "base/bytes.hpp"

namespace softsnp::psp {

void apply_register_protection(svm::Vmsa& vmsa, const VmsaTweakBitmap& bitmap) {
  const u64 nonce = vmsa.reg_prot_nonce;
  for (unsigned quadword = 0; quadword < page_size / 8; ++quadword) {
    if (bitmap.covers(quadword)) {
      u8* const at = vmsa.raw + quadword * 8;
      store_le(at, load_le<u64>(at) ^ nonce);
    }
  }
}

bool register_protected(const svm::Vmsa& vmsa) {
  return (vmsa.sev_features & snp::feature::vmsa_reg_prot) != 0;
}

u64 tsc_scale(u32 desired_khz, u32 reference_khz) {
  if (reference_khz == 0) {
    return 0;
  }
  const u64 numerator = u64{desired_khz} << 32;
  const u64 rounded_up = numerator / reference_khz + (numerator % reference_khz != 0 ? 1 : 0);
  return rounded_up & mask_bits(39, 0);
}

}  // namespace softsnp::psp

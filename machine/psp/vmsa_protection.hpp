// What the firmware does to a VMSA at launch, after measuring it. Firmware sheet 1.6 ("VMSA
// post-processing"), hardware sheet 8.1 (VmsaRegProt).
#pragma once

#include "arch/psp/vmsa_tweak.hpp"
#include "arch/svm/vmsa.hpp"

namespace softsnp::psp {

// XORs the nonce at 300h into the quadwords of the bitmap; its own inverse.
void apply_register_protection(svm::Vmsa& vmsa, const VmsaTweakBitmap& bitmap);
// SEV_FEATURES asks for register protection.
bool register_protected(const svm::Vmsa& vmsa);
// 8.32 fixed point, fraction rounded up; 40 bits.
u64 tsc_scale(u32 desired_khz, u32 reference_khz);

}  // namespace softsnp::psp

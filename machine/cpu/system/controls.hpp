// The VMCB's control area while its guest runs: the core's working copy. Hardware sheet 8.3.
#pragma once

#include "arch/snp/features.hpp"
#include "arch/svm/vmcb.hpp"

namespace softsnp::cpu {

struct Controls {
  svm::Vmcb vmcb{};      // as read by VMRUN; only the control area matters here
  bool guest = false;    // between VMRUN and #VMEXIT
  bool sev_es = false;   // VMCB 090h[2]
  bool snp = false;      // SEV_FEATURES[0]
  u64 sev_features = 0;  // VMSA 3B0h
  u64 ghcb = 0;          // MSR C001_0130
  u64 vintr = 0;         // VMCB 060h, or VMSA 3B8h under alternate injection
  u64 tsc_scale = 0;     // Secure TSC (hardware sheet 9.3)
  u64 tsc_offset = 0;
  u16 pauses_left = 0;  // PAUSE filter
  u64 last_pause = 0;
  bool gif = true;

  bool feature(u64 bits) const { return (sev_features & bits) != 0; }
  bool misc1(u32 bits) const { return guest && (vmcb.intercept_misc1 & bits) != 0; }
  bool misc2(u32 bits) const { return guest && (vmcb.intercept_misc2 & bits) != 0; }
  bool misc3(u32 bits) const { return guest && (vmcb.intercept_misc3 & bits) != 0; }
  bool restricted_injection() const { return feature(snp::feature::restricted_injection); }
  bool alternate_injection() const { return feature(snp::feature::alternate_injection); }
  // A virtual interrupt that the guest's priority lets through (APM2 15.21.4). Under restricted
  // injection V_IRQ queues nothing (hardware sheet 6.4).
  bool virtual_interrupt_waits() const {
    const bool priority =
        (vintr & svm::vintr::ign_tpr) != 0 || get_bits(vintr, 19, 16) > (vintr & 0xF);
    return gif && (vintr & svm::vintr::v_irq) != 0 && priority && !restricted_injection();
  }
  bool v_intr_masking() const { return guest && (vmcb.vintr & svm::vintr::v_intr_masking) != 0; }
};

}  // namespace softsnp::cpu

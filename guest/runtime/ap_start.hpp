// Starting and stopping other vCPUs of an SNP guest: the guest builds their save areas itself. GHCB
// sheet 3.7; hardware sheet 4.7, 8.1; SVSM sheet 4.3.
#pragma once

#include "arch/svm/vmsa.hpp"
#include "guest/runtime/ghcb_client.hpp"
#include "guest/runtime/svsm_client.hpp"

namespace softsnp::guest {

// Real mode at vector * 4 KiB, as INIT and SIPI would leave the vCPU.
struct RealModeStart {
  u8 vector;
};
// 64-bit mode, flat segments, in the given page tables, interrupts off.
struct LongModeStart {
  u64 rip, rsp;
  u64 argument = 0;  // RDI
  u64 cr3;
  u64 cr4 = 0x20;                 // PAE
  u64 efer_without_svme = 0xD00;  // LME, LMA, NXE
  u64 gdt_base = 0;
  u16 gdt_limit = 0;
  u16 code_selector = 8, data_selector = 16;
};

// What both have in common: VMPL and SEV_FEATURES of the vCPU that asks (SEV_STATUS >> 2).
struct ApIdentity {
  Vmpl vmpl = Vmpl::vmpl0;
  u64 sev_features = 0;
  bool machine_check = false;  // CR4.MCE of the vCPU that asks
};

void fill_vmsa(svm::Vmsa& vmsa, const ApIdentity& identity, const RealModeStart& start);
void fill_vmsa(svm::Vmsa& vmsa, const ApIdentity& identity, const LongModeStart& start);

class ApStarter {
 public:
  // svsm: null at VMPL0.
  ApStarter(GhcbClient& client, DirectMap map, SvsmClient* svsm = nullptr)
      : client_(client), map_(map), svsm_(svsm) {}

  // The page, filled in, private, validated, not 2 MiB aligned (an erratum; KVM refuses it), turns
  // into a save area and the vCPU with this APIC id starts from it at once. Under an SVSM
  // calling_area is its private page.
  Checked<void> start(u32 apic_id, const svm::Vmsa& vmsa, GuestPhysical calling_area = {});
  // Takes the vCPU's save area away and makes the page an ordinary one.
  Checked<void> destroy(u32 apic_id, const svm::Vmsa& vmsa, Vmpl vmpl, u64 sev_features);

 private:
  enum class Request : u16 { create_on_init = 0, create = 1, destroy = 2 };
  Checked<void> set_vmsa(GuestPhysical at, bool is_vmsa);
  Checked<void> ask(u32 apic_id, Vmpl vmpl, Request request, GuestPhysical at, u64 sev_features);

  GhcbClient& client_;
  DirectMap map_;
  SvsmClient* svsm_;
};

}  // namespace softsnp::guest

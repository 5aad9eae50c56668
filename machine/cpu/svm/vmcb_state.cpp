// State of a guest without SEV-ES: the plaintext save area of the VMCB. APM2 15.5.1, table B-2.
#include "machine/cpu/svm/guest_image.hpp"

namespace softsnp::cpu {

void load_from_vmcb(const GuestImage& image, CoreState& s) {
  const svm::Vmcb& v = image.vmcb;
  s.seg[0] = v.es;
  s.seg[1] = v.cs;
  s.seg[2] = v.ss;
  s.seg[3] = v.ds;
  s.gdtr = v.gdtr;
  s.idtr = v.idtr;
  s.cpl = v.cpl & 3;
  s.efer = v.efer;
  s.cr4 = v.cr4;
  s.cr3 = v.cr3;
  s.cr0 = v.cr0;
  s.cr2 = v.cr2;
  s.dr7 = v.dr7;
  s.dr6 = v.dr6;
  s.set_rflags(v.rflags);
  s.rip = v.rip;
  s.gpr[static_cast<unsigned>(x86::Gpr::rsp)] = v.rsp;
  s.gpr[static_cast<unsigned>(x86::Gpr::rax)] = v.rax;
  if (image.nested_paging) {
    s.pat = v.g_pat;
  }
  if ((v.lbr_and_virt & svm::lbr_and_virt::lbr_virtualization) != 0) {
    s.debug_ctl = v.dbgctl;
  }
}

void save_to_vmcb(const CoreState& s, bool nested_paging, svm::Vmcb& v) {
  v.es = s.seg[0];
  v.cs = s.seg[1];
  v.ss = s.seg[2];
  v.ds = s.seg[3];
  v.gdtr = s.gdtr;
  v.idtr = s.idtr;
  v.cpl = s.cpl;
  v.efer = s.efer;
  v.cr4 = s.cr4;
  v.cr3 = s.cr3;
  v.cr0 = s.cr0;
  v.cr2 = s.cr2;
  v.dr7 = s.dr7;
  v.dr6 = s.dr6;
  v.rflags = s.rflags();
  v.rip = s.rip;
  v.rsp = s.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  v.rax = s.gpr[static_cast<unsigned>(x86::Gpr::rax)];
  if (nested_paging) {
    v.g_pat = s.pat;
  }
  if ((v.lbr_and_virt & svm::lbr_and_virt::lbr_virtualization) != 0) {
    v.dbgctl = s.debug_ctl;
  }
}

}  // namespace softsnp::cpu

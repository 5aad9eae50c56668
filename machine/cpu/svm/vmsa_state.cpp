// Guest state to and from the VMSA; host state to and from the host save area, which has the same
// layout. Hardware sheet 8.1, 9.2.
#include <cstring>

#include "machine/cpu/svm/guest_image.hpp"

namespace softsnp::cpu {
namespace {

// GPRs in x86::Gpr order.
void load_gprs(const svm::Vmsa& v, CoreState& s) {
  const u64 values[16] = {v.rax, v.rcx, v.rdx, v.rbx, v.rsp, v.rbp, v.rsi, v.rdi,
                          v.r8,  v.r9,  v.r10, v.r11, v.r12, v.r13, v.r14, v.r15};
  std::memcpy(s.gpr, values, sizeof values);
}

void save_gprs(const CoreState& s, svm::Vmsa& v) {
  v.rax = s.gpr[0];
  v.rcx = s.gpr[1];
  v.rdx = s.gpr[2];
  v.rbx = s.gpr[3];
  v.rsp = s.gpr[4];
  v.rbp = s.gpr[5];
  v.rsi = s.gpr[6];
  v.rdi = s.gpr[7];
  v.r8 = s.gpr[8];
  v.r9 = s.gpr[9];
  v.r10 = s.gpr[10];
  v.r11 = s.gpr[11];
  v.r12 = s.gpr[12];
  v.r13 = s.gpr[13];
  v.r14 = s.gpr[14];
  v.r15 = s.gpr[15];
}

// The abridged tag of FXSAVE (1 = in use) from what software left in the field: KVM copies the
// abridged byte, Linux' AP start writes a full tag word (3 = empty).
u8 abridged_tag(u16 ftw) {
  if (ftw <= 0xFF) {
    return static_cast<u8>(ftw);
  }
  unsigned tag = 0;
  for (unsigned i = 0; i < 8; ++i) {
    tag |= ((ftw >> (2 * i)) & 3) != 3 ? 1u << i : 0u;
  }
  return static_cast<u8>(tag);
}

void load_fx(const svm::Vmsa& v, FxState& fx) {
  fx.fcw = v.x87_fcw;
  fx.fsw = v.x87_fsw;
  fx.ftw = abridged_tag(v.x87_ftw);
  fx.fop = v.x87_fop;
  fx.fip = v.x87_rip;
  fx.fdp = v.x87_dp;
  fx.mxcsr = v.mxcsr & fx.mxcsr_mask;
  for (unsigned i = 0; i < 8; ++i) {
    std::memset(fx.st[i], 0, sizeof fx.st[i]);
    std::memcpy(fx.st[i], v.x87_mantissas.at + 8 * i, 8);
    std::memcpy(fx.st[i] + 8, v.x87_exponents.at + 2 * i, 2);
  }
  std::memcpy(fx.xmm, v.xmm.at, sizeof fx.xmm);
}

void save_fx(const FxState& fx, svm::Vmsa& v) {
  v.x87_fcw = fx.fcw;
  v.x87_fsw = fx.fsw;
  v.x87_ftw = fx.ftw;
  v.x87_fop = fx.fop;
  v.x87_rip = fx.fip;
  v.x87_dp = fx.fdp;
  v.mxcsr = fx.mxcsr;
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(v.x87_mantissas.at + 8 * i, fx.st[i], 8);
    std::memcpy(v.x87_exponents.at + 2 * i, fx.st[i] + 8, 2);
  }
  std::memcpy(v.xmm.at, fx.xmm, sizeof fx.xmm);
}

}  // namespace

void save_type_a(const CoreState& s, svm::Vmsa& v) {
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
  v.rflags = s.rflags();
  v.rip = s.rip;
  v.rsp = s.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  v.rax = s.gpr[static_cast<unsigned>(x86::Gpr::rax)];
  v.dbgctl = s.debug_ctl;
  v.spec_ctrl = s.spec_ctrl;
}

void load_type_a(const svm::Vmsa& v, CoreState& s) {
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
  s.set_rflags(v.rflags);
  s.rip = v.rip;
  s.gpr[static_cast<unsigned>(x86::Gpr::rsp)] = v.rsp;
  s.gpr[static_cast<unsigned>(x86::Gpr::rax)] = v.rax;
  s.debug_ctl = v.dbgctl;
  s.spec_ctrl = v.spec_ctrl;
}

void load_type_b(const svm::Vmsa& v, CoreState& s) {
  const u64 rsp = s.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  const u64 rax = s.gpr[static_cast<unsigned>(x86::Gpr::rax)];
  load_gprs(v, s);
  s.gpr[static_cast<unsigned>(x86::Gpr::rsp)] = rsp;
  s.gpr[static_cast<unsigned>(x86::Gpr::rax)] = rax;
  s.seg[4] = v.fs;
  s.seg[5] = v.gs;
  s.ldtr = v.ldtr;
  s.tr = v.tr;
  s.xss = v.xss;
  s.pkru = v.pkru;
  s.tsc_aux = v.tsc_aux;
  s.star = v.star;
  s.lstar = v.lstar;
  s.cstar = v.cstar;
  s.sfmask = v.sfmask;
  s.kernel_gs_base = v.kernel_gs_base;
  s.sysenter_cs = v.sysenter_cs;
  s.sysenter_esp = v.sysenter_esp;
  s.sysenter_eip = v.sysenter_eip;
  s.xcr0 = v.xcr0;
}

void reset_type_c(CoreState& s) {
  s.fx = FxState{};
  s.cr2 = 0;
  s.dr6 = 0xFFFF0FF0;
  s.dr7 = 0x400;
}

void load_from_vmsa(const GuestImage& image, CoreState& s) {
  const svm::Vmsa& v = image.vmsa;
  load_type_a(v, s);
  load_type_b(v, s);
  s.cr2 = v.cr2;
  s.dr6 = v.dr6;
  s.dr7 = v.dr7;
  s.pat = v.g_pat;
  if (image.feature(snp::feature::debug_virtualization)) {
    s.dr[0] = v.dr0;
    s.dr[1] = v.dr1;
    s.dr[2] = v.dr2;
    s.dr[3] = v.dr3;
  }
  load_fx(v, s.fx);
}

void save_to_vmsa(const CoreState& s, bool debug_registers, svm::Vmsa& v) {
  save_type_a(s, v);
  save_gprs(s, v);
  v.fs = s.seg[4];
  v.gs = s.seg[5];
  v.ldtr = s.ldtr;
  v.tr = s.tr;
  v.xss = s.xss;
  v.pkru = static_cast<u32>(s.pkru);
  v.tsc_aux = static_cast<u32>(s.tsc_aux);
  v.star = s.star;
  v.lstar = s.lstar;
  v.cstar = s.cstar;
  v.sfmask = s.sfmask;
  v.kernel_gs_base = s.kernel_gs_base;
  v.sysenter_cs = s.sysenter_cs;
  v.sysenter_esp = s.sysenter_esp;
  v.sysenter_eip = s.sysenter_eip;
  v.xcr0 = s.xcr0;
  v.cr2 = s.cr2;
  v.dr6 = s.dr6;
  v.dr7 = s.dr7;
  v.g_pat = s.pat;
  if (debug_registers) {
    v.dr0 = s.dr[0];
    v.dr1 = s.dr[1];
    v.dr2 = s.dr[2];
    v.dr3 = s.dr[3];
  }
  save_fx(s.fx, v);
}

}  // namespace softsnp::cpu

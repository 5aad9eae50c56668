#include "hypervisor/kvm/plain_registers.hpp"

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"

namespace softsnp::kvm {
namespace {

// Fields that VMSA and VMCB save area have in common.
template <class From, class To>
void copy_save_area(const From& from, To& to) {
  to.es = from.es;
  to.cs = from.cs;
  to.ss = from.ss;
  to.ds = from.ds;
  to.fs = from.fs;
  to.gs = from.gs;
  to.gdtr = from.gdtr;
  to.ldtr = from.ldtr;
  to.idtr = from.idtr;
  to.tr = from.tr;
  to.cpl = from.cpl;
  to.efer = from.efer;
  to.cr4 = from.cr4;
  to.cr3 = from.cr3;
  to.cr0 = from.cr0;
  to.dr7 = from.dr7;
  to.dr6 = from.dr6;
  to.rflags = from.rflags;
  to.rip = from.rip;
  to.rsp = from.rsp;
  to.rax = from.rax;
  to.star = from.star;
  to.lstar = from.lstar;
  to.cstar = from.cstar;
  to.sfmask = from.sfmask;
  to.kernel_gs_base = from.kernel_gs_base;
  to.sysenter_cs = from.sysenter_cs;
  to.sysenter_esp = from.sysenter_esp;
  to.sysenter_eip = from.sysenter_eip;
  to.cr2 = from.cr2;
  to.g_pat = from.g_pat;
  to.dbgctl = from.dbgctl;
}

// x86::Gpr order; RAX and RSP are in the save area.
constexpr u32 gpr_offsets[16] = {0x1F8, 0x308, 0x310, 0x318, 0x1D8, 0x328, 0x330, 0x338,
                                 0x340, 0x348, 0x350, 0x358, 0x360, 0x368, 0x370, 0x378};

// FXSAVE64 image (APM2 11.5.1). The VMSA's tag word is taken in the abridged form, as KVM writes
// it.
constexpr usize fx_fcw = 0, fx_fsw = 2, fx_ftw = 4, fx_fop = 6, fx_rip = 8, fx_dp = 16,
                fx_mxcsr = 24, fx_mxcsr_mask = 28, fx_st = 32, fx_xmm = 160;

void load_fpu(const svm::Vmsa& from, u8* fx) {
  store_le<u16>(fx + fx_fcw, from.x87_fcw);
  store_le<u16>(fx + fx_fsw, from.x87_fsw);
  fx[fx_ftw] = static_cast<u8>(from.x87_ftw);
  store_le<u16>(fx + fx_fop, from.x87_fop);
  store_le<u64>(fx + fx_rip, from.x87_rip);
  store_le<u64>(fx + fx_dp, from.x87_dp);
  store_le<u32>(fx + fx_mxcsr, from.mxcsr);
  store_le<u32>(fx + fx_mxcsr_mask, 0x2FFFF);
  for (usize i = 0; i < 8; ++i) {
    __builtin_memcpy(fx + fx_st + 16 * i, from.x87_mantissas.at + 8 * i, 8);
    __builtin_memcpy(fx + fx_st + 16 * i + 8, from.x87_exponents.at + 2 * i, 2);
  }
  __builtin_memcpy(fx + fx_xmm, from.xmm.at, sizeof from.xmm.at);
}

void save_fpu(const u8* fx, svm::Vmsa& to) {
  to.x87_fcw = load_le<u16>(fx + fx_fcw);
  to.x87_fsw = load_le<u16>(fx + fx_fsw);
  to.x87_ftw = fx[fx_ftw];
  to.x87_fop = load_le<u16>(fx + fx_fop);
  to.x87_rip = load_le<u64>(fx + fx_rip);
  to.x87_dp = load_le<u64>(fx + fx_dp);
  to.mxcsr = load_le<u32>(fx + fx_mxcsr);
  for (usize i = 0; i < 8; ++i) {
    __builtin_memcpy(to.x87_mantissas.at + 8 * i, fx + fx_st + 16 * i, 8);
    __builtin_memcpy(to.x87_exponents.at + 2 * i, fx + fx_st + 16 * i + 8, 2);
  }
  __builtin_memcpy(to.xmm.at, fx + fx_xmm, sizeof to.xmm.at);
}

}  // namespace

void load_state(const svm::Vmsa& from, svm::Vmcb& vmcb, machine::CoreRegisters& core) {
  copy_save_area(from, vmcb);
  for (usize i = 0; i < 16; ++i) {
    core.gpr[i] = load_le<u64>(from.raw + gpr_offsets[i]);
  }
  core.dr = {from.dr0, from.dr1, from.dr2, from.dr3};
  core.xcr0 = from.xcr0;
  core.xss = from.xss;
  core.tsc_aux = from.tsc_aux;
  core.pkru = from.pkru;
  load_fpu(from, core.fxsave.data());
}

void save_state(const svm::Vmcb& vmcb, const machine::CoreRegisters& core, svm::Vmsa& to) {
  copy_save_area(vmcb, to);
  for (usize i = 0; i < 16; ++i) {
    if (gpr_offsets[i] != 0x1F8 && gpr_offsets[i] != 0x1D8) {
      store_le<u64>(to.raw + gpr_offsets[i], core.gpr[i]);
    }
  }
  to.dr0 = core.dr[0];
  to.dr1 = core.dr[1];
  to.dr2 = core.dr[2];
  to.dr3 = core.dr[3];
  to.xcr0 = core.xcr0;
  to.xss = core.xss;
  to.tsc_aux = core.tsc_aux;
  to.pkru = core.pkru;
  save_fpu(core.fxsave.data(), to);
}

void reset_registers(u32 signature, svm::Vmcb& vmcb, machine::CoreRegisters& core) {
  namespace cr0 = x86::cr0;
  const svm::SegmentRegister data{0, 0x92, 0xFFFF, 0};
  vmcb.es = vmcb.ss = vmcb.ds = vmcb.fs = vmcb.gs = data;
  vmcb.cs = {0xF000, 0x9A, 0xFFFF, 0xFFFF0000};
  vmcb.gdtr = vmcb.idtr = {0, 0, 0xFFFF, 0};
  vmcb.ldtr = {0, 0x82, 0xFFFF, 0};
  vmcb.tr = {0, 0x83, 0xFFFF, 0};
  vmcb.cpl = 0;
  vmcb.efer = x86::efer::svme;
  vmcb.cr0 = cr0::et | (vmcb.cr0 & (cr0::nw | cr0::cd));
  vmcb.cr2 = vmcb.cr3 = vmcb.cr4 = 0;
  vmcb.dr6 = 0xFFFF0FF0;
  vmcb.dr7 = 0x400;
  vmcb.rflags = 2;
  vmcb.rip = 0xFFF0;
  vmcb.rsp = vmcb.rax = 0;
  vmcb.interrupt_state = 0;
  core.gpr = {};
  core.gpr[static_cast<usize>(x86::Gpr::rdx)] = signature;
  core.dr = {};
}

void power_on_registers(svm::Vmcb& vmcb, machine::CoreRegisters& core) {
  vmcb.cr0 = x86::cr0::nw | x86::cr0::cd;
  reset_registers(0, vmcb, core);
  svm::Vmsa fpu{};
  fpu.x87_fcw = 0x40;
  fpu.x87_ftw = 0xFF;
  fpu.mxcsr = 0x1F80;
  load_fpu(fpu, core.fxsave.data());
}

}  // namespace softsnp::kvm

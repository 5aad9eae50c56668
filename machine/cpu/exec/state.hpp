// All architectural state of one core: plain data, copyable, nothing else decides its future.
// APM volume 2 chapter 3; x87/SSE in FXSAVE64 layout (APM2 11.4.4).
#pragma once

#include <array>
#include <type_traits>

#include "arch/address.hpp"
#include "arch/svm/segment.hpp"
#include "arch/x86/registers.hpp"
#include "machine/cpu/exec/flags.hpp"

namespace softsnp::cpu {

struct alignas(16) Xmm {
  u64 lane[2];
};

// 512 bytes in FXSAVE64 format; ftw is the abridged tag (1 = in use), st[] in stack order.
struct alignas(16) FxState {
  u16 fcw = 0x37F;
  u16 fsw = 0;
  u8 ftw = 0;
  u8 reserved5 = 0;
  u16 fop = 0;
  u64 fip = 0;
  u64 fdp = 0;
  u32 mxcsr = 0x1F80;
  u32 mxcsr_mask = 0x2FFFF;  // as AMD's with misaligned SSE
  u8 st[8][16] = {};
  Xmm xmm[16] = {};
  u16 fcs = 0, fds = 0;  // selectors of fip, fdp; outside what FXSAVE64 defines
  u8 reserved420[92] = {};
};
static_assert(sizeof(FxState) == 512);

inline constexpr unsigned gpr_zero = 16;  // always 0: an absent base or index register

enum class Activity : u8 { running, halted, shutdown };

struct CoreState {
  u64 gpr[17] = {};
  u64 rip = 0;
  LazyFlags flags;
  // RFLAGS without the six status flags; bit 1 set.
  u64 system_flags = x86::rflags::fixed1;
  u8 cpl = 0;
  bool interrupt_shadow = false;  // STI, MOV SS: interrupts held for one instruction
  bool nmi_masked = false;
  Activity activity = Activity::running;

  svm::SegmentRegister seg[x86::segment_count] = {};
  svm::SegmentRegister ldtr = {}, tr = {}, gdtr = {}, idtr = {};
  u64 cr0 = x86::cr0::et, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0, efer = 0, xcr0 = 1, xss = 0;
  u64 dr[4] = {}, dr6 = 0xFFFF0FF0, dr7 = 0x400;
  u64 star = 0, lstar = 0, cstar = 0, sfmask = 0, kernel_gs_base = 0;
  u64 sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  u64 pat = 0x0007040600070406, tsc_aux = 0, pkru = 0, debug_ctl = 0, spec_ctrl = 0;
  FxState fx;

  u64 rflags() const { return system_flags | flags.pack(); }
  void set_rflags(u64 value) {
    flags.unpack(value);
    system_flags = (value & ~x86::rflags::status) | x86::rflags::fixed1;
  }
  bool long_mode() const { return (efer & x86::efer::lma) != 0; }
  bool code64() const {
    return long_mode() && (seg[1].attributes & svm::attribute::long_mode) != 0;
  }
  bool protected_mode() const { return (cr0 & x86::cr0::pe) != 0; }
  bool v8086() const { return (system_flags & x86::rflags::vm) != 0; }
};
static_assert(std::is_trivially_copyable_v<CoreState>);

}  // namespace softsnp::cpu

// SVM exit codes, also the error codes of #VC. Hardware sheet 8.4 (APM2 appendix C). Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::svm {

// Open: any 64-bit number may appear in a VMCB or a GHCB.
enum class ExitCode : u64 {
  cr0_read = 0x00,
  cr0_write = 0x10,
  dr0_read = 0x20,
  dr7_read = 0x27,
  dr0_write = 0x30,
  dr7_write = 0x37,
  exception_base = 0x40,
  exception_db = 0x41,
  exception_ac = 0x51,
  exception_mc = 0x52,
  exception_vc = 0x5D,
  intr = 0x60,
  nmi = 0x61,
  smi = 0x62,
  init = 0x63,
  vintr = 0x64,
  cr0_selective = 0x65,
  idtr_read = 0x66,
  gdtr_read = 0x67,
  ldtr_read = 0x68,
  tr_read = 0x69,
  idtr_write = 0x6A,
  gdtr_write = 0x6B,
  ldtr_write = 0x6C,
  tr_write = 0x6D,
  rdtsc = 0x6E,
  rdpmc = 0x6F,
  pushf = 0x70,
  popf = 0x71,
  cpuid = 0x72,
  rsm = 0x73,
  iret = 0x74,
  intn = 0x75,
  invd = 0x76,
  pause = 0x77,
  hlt = 0x78,
  invlpg = 0x79,
  invlpga = 0x7A,
  ioio = 0x7B,
  msr = 0x7C,
  task_switch = 0x7D,
  ferr_freeze = 0x7E,
  shutdown = 0x7F,
  vmrun = 0x80,
  vmmcall = 0x81,
  vmload = 0x82,
  vmsave = 0x83,
  stgi = 0x84,
  clgi = 0x85,
  skinit = 0x86,
  rdtscp = 0x87,
  icebp = 0x88,
  wbinvd = 0x89,
  monitor = 0x8A,
  mwait = 0x8B,
  mwait_armed = 0x8C,
  xsetbv = 0x8D,
  rdpru = 0x8E,
  efer_write_trap = 0x8F,
  cr0_write_trap = 0x90,
  cr4_write_trap = 0x94,
  cr8_write_trap = 0x98,
  invlpgb = 0xA0,
  invlpgb_illegal = 0xA1,
  invpcid = 0xA2,
  mcommit = 0xA3,
  tlbsync = 0xA4,
  bus_lock = 0xA5,
  idle_hlt = 0xA6,
  npf = 0x400,
  avic_incomplete_ipi = 0x401,
  avic_noaccel = 0x402,
  vmgexit = 0x403,
  page_not_validated = 0x404,
  not_restartable = 0x406,
  invalid = ~u64{0},
  busy = ~u64{0} - 1,
  idle_required = ~u64{0} - 2,
  invalid_pmc = ~u64{0} - 3,
};

constexpr u64 number(ExitCode code) {
  return static_cast<u64>(code);
}

// IOIO EXITINFO1 (hardware sheet 8.2; GHCB sheet 3.2).
namespace ioio {
inline constexpr u64 in = 1u << 0, string = 1u << 2, rep = 1u << 3, size8 = 1u << 4,
                     size16 = 1u << 5, size32 = 1u << 6, addr16 = 1u << 7, addr32 = 1u << 8,
                     addr64 = 1u << 9;
inline constexpr unsigned segment_shift = 10, port_shift = 16;
}  // namespace ioio

}  // namespace softsnp::svm

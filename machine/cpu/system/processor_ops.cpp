// CPUID, time stamps, random numbers, HLT, PAUSE, MONITOR, caches and TLB. APM3; intercepts APM2
// 15.9, PAUSE filter 15.14.4.
#include <utility>

#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using svm::ExitCode;
using x86::Gpr;

void set_edx_eax(System& system, u64 value) {
  reg(system, Gpr::rax) = static_cast<u32>(value);
  reg(system, Gpr::rdx) = value >> 32;
}

bool privileged(System& system) {
  return system.state().cpl == 0;
}

// CPUID bits that mirror control registers (APM3 appendix E).
void mirror_state(const CoreState& s, u32 leaf, u32 subleaf, CpuidRegisters& out) {
  constexpr u32 xsave_area = 0x240;
  if (leaf == 1) {
    const u32 osxsave = 1u << 27;
    out.ecx = (s.cr4 & x86::cr4::osxsave) != 0 ? out.ecx | osxsave : out.ecx & ~osxsave;
  } else if (leaf == 0xD && subleaf <= 1) {
    out.ebx = xsave_area;
  }
}

bool time_stamp_denied(const CoreState& s) {
  return (s.cr4 & x86::cr4::tsd) != 0 && s.cpl != 0 && s.protected_mode();
}

}  // namespace

namespace handlers {

Step cpuid(System& system, const Instruction&) {
  if (system.intercepts(ExitCode::cpuid)) {
    return system.intercept(ExitCode::cpuid);
  }
  const u32 leaf = static_cast<u32>(reg(system, Gpr::rax));
  const u32 subleaf = static_cast<u32>(reg(system, Gpr::rcx));
  CpuidRegisters r = system.platform().cpuid(leaf, subleaf);
  mirror_state(system.state(), leaf, subleaf, r);
  reg(system, Gpr::rax) = r.eax;
  reg(system, Gpr::rbx) = r.ebx;
  reg(system, Gpr::rcx) = r.ecx;
  reg(system, Gpr::rdx) = r.edx;
  return Step::next;
}

Step rdtsc(System& system, const Instruction&) {
  if (time_stamp_denied(system.state())) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::rdtsc)) {
    return system.intercept(ExitCode::rdtsc);
  }
  set_edx_eax(system, system.guest_tsc());
  return Step::next;
}

Step rdtscp(System& system, const Instruction&) {
  if (time_stamp_denied(system.state())) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::rdtscp)) {
    return system.intercept(ExitCode::rdtscp);
  }
  set_edx_eax(system, system.guest_tsc());
  reg(system, Gpr::rcx) = static_cast<u32>(system.state().tsc_aux);
  return Step::next;
}

// Six core counters exist; none ever counts.
Step rdpmc(System& system, const Instruction&) {
  constexpr u32 counters = 6;
  const CoreState& s = system.state();
  if (s.cpl != 0 && (s.cr4 & x86::cr4::pce) == 0) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::rdpmc)) {
    return system.intercept(ExitCode::rdpmc);
  }
  if (static_cast<u32>(reg(system, Gpr::rcx)) >= counters) {
    return system.raise_gp();
  }
  set_edx_eax(system, 0);
  return Step::next;
}

Step rdpid(System& system, const Instruction& in) {
  system.state().gpr[in.op.r0] = static_cast<u32>(system.state().tsc_aux);
  return Step::next;
}

Step random(System& system, const Instruction& in) {
  write_gpr(system, in.op.r0, system.platform().random64(), in.info.operand_bits);
  system.state().flags.unpack(x86::rflags::cf);
  return Step::next;
}

Step hlt(System& system, const Instruction&) {
  if (!privileged(system)) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::hlt)) {
    return system.intercept(ExitCode::hlt);
  }
  // Not with a virtual interrupt that ends the halt (CPUID Fn8000_000A_EDX[30]).
  if (system.intercepts(ExitCode::idle_hlt) && !system.controls().virtual_interrupt_waits()) {
    return system.intercept(ExitCode::idle_hlt);
  }
  system.state().activity = Activity::halted;
  return Step::next;
}

// APM2 15.14.4: the PAUSE that brings the count to zero exits.
static Step count_pause(System& system) {
  u16& left = system.controls().pauses_left;
  left -= left == 0 ? 0 : 1;
  return left != 0 ? Step::next : system.intercept(ExitCode::pause);
}

// With a threshold: one that comes late starts the count again and is not counted, and the one that
// would bring the count below zero exits.
static Step count_close_pause(System& system) {
  Controls& controls = system.controls();
  const u64 now = system.platform().tsc();
  const u64 elapsed = now - std::exchange(controls.last_pause, now);
  if (elapsed > controls.vmcb.pause_filter_threshold) {
    controls.pauses_left = controls.vmcb.pause_filter_count;
    return Step::next;
  }
  if (controls.pauses_left == 0) {
    return system.intercept(ExitCode::pause);
  }
  --controls.pauses_left;
  return Step::next;
}

Step pause(System& system, const Instruction&) {
  Controls& controls = system.controls();
  if (!system.intercepts(ExitCode::pause)) {
    return Step::next;
  }
  const svm::Vmcb& vmcb = controls.vmcb;
  if (vmcb.pause_filter_count == 0) {
    return system.intercept(ExitCode::pause);
  }
  return vmcb.pause_filter_threshold == 0 ? count_pause(system) : count_close_pause(system);
}

// MONITOR arms nothing: MWAIT then ends at once, as it may for any reason.
Step monitor(System& system, const Instruction& in) {
  if (!privileged(system)) {
    return system.raise_ud();
  }
  if (static_cast<u32>(reg(system, Gpr::rcx)) != 0) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::monitor)) {
    return system.intercept(ExitCode::monitor);
  }
  const u64 offset = in.op.address_bits == 16   ? reg(system, Gpr::rax) & 0xFFFF
                     : in.op.address_bits == 32 ? static_cast<u32>(reg(system, Gpr::rax))
                                                : reg(system, Gpr::rax);
  const unsigned seg = in.op.seg < x86::segment_count ? in.op.seg : 3;
  u64 ignored = 0;
  return load_sized(system, linear_of(system.state(), system.core().seg_base[seg], offset), 1,
                    ignored)
             ? Step::next
             : Step::fault;
}

Step mwait(System& system, const Instruction&) {
  if (!privileged(system)) {
    return system.raise_ud();
  }
  if ((static_cast<u32>(reg(system, Gpr::rcx)) & ~1u) != 0) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::mwait)) {
    return system.intercept(ExitCode::mwait);
  }
  return Step::next;
}

Step write_back(System& system, const Instruction& in) {
  if (!privileged(system)) {
    return system.raise_gp();
  }
  const ExitCode code = in.id == SystemOp::invd ? ExitCode::invd : ExitCode::wbinvd;
  if (system.intercepts(code)) {
    return system.intercept(code);
  }
  system.platform().caches_written_back();
  return Step::next;
}

Step invlpg(System& system, const Instruction& in) {
  if (!privileged(system)) {
    return system.raise_gp();
  }
  // INVLPG ignores segment limits.
  const u64 offset = offset_of<Addressing::general>(system.core(), &in.op);
  const u64 linear = linear_of(system.state(), system.core().seg_base[in.op.seg], offset);
  if (system.intercepts(ExitCode::invlpg)) {
    return system.intercept(ExitCode::invlpg, linear);
  }
  if (is_canonical(linear)) {
    system.flush_tlb(TlbFlush::page, linear);
  }
  return Step::next;
}

Step invlpga(System& system, const Instruction& in) {
  if ((system.state().efer & x86::efer::svme) == 0) {
    return system.raise_ud();
  }
  if (!privileged(system)) {
    return system.raise_gp();
  }
  const u64 rax = reg(system, Gpr::rax);
  const u64 linear = in.op.address_bits == 32 ? static_cast<u32>(rax) : rax;
  if (system.intercepts(ExitCode::invlpga)) {
    return system.intercept(ExitCode::invlpga, linear);
  }
  system.mmu().flush_page(system.core(), linear);
  return Step::next;
}

Step invpcid(System& system, const Instruction& in) {
  const CoreState& s = system.state();
  if (!privileged(system)) {
    return system.raise_gp();
  }
  if (system.intercepts(ExitCode::invpcid)) {
    return system.intercept(ExitCode::invpcid);
  }
  const u64 linear = linear_operand(system, in, 16);
  u64 pcid = 0;
  u64 address = 0;
  if (!load_sized(system, linear, 8, pcid) ||
      !load_sized(system, linear_of(s, linear, 8), 8, address)) {
    return Step::fault;
  }
  const u64 raw = s.gpr[in.op.r0];
  const u64 type = s.code64() ? raw : static_cast<u32>(raw);
  const bool pcids_off = (s.cr4 & x86::cr4::pcide) == 0;
  if (type > 3 || (pcid >> 12) != 0 || (pcids_off && type <= 1 && pcid != 0) ||
      (type == 0 && !is_canonical(address))) {
    return system.raise_gp();
  }
  // The TLB carries no PCID: types reach further than asked, which is legal.
  switch (type) {
    case 0:
      system.flush_tlb(TlbFlush::page, address);
      break;
    case 2:
      system.flush_tlb(TlbFlush::all);
      break;
    default:
      system.flush_tlb(TlbFlush::non_global);
      break;
  }
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu

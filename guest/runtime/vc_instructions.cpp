// Instructions without memory operands. GHCB sheet 3.1.
#include "arch/svsm/calling_area.hpp"
#include "guest/runtime/frame_registers.hpp"
#include "guest/runtime/ghcb_msr.hpp"
#include "guest/runtime/vc_event.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;
using decode::Operation;

// CPUID 8000_001F EAX (SVSM sheet 1.2): set by nobody but the guest's own handler.
constexpr u32 encryption_leaf = 0x8000001F;
constexpr u32 svsm_present = u32{1} << 28;

// As a counter or an MSR is read.
Handled<void> set_edx_eax(Frame& frame, const Handled<u64>& value) {
  if (!value) {
    return Failure{value.error()};
  }
  frame.rax = static_cast<u32>(*value);
  frame.rdx = *value >> 32;
  return {};
}

Handled<void> ask_for_msr(const VcEvent& event, bool write) {
  Frame& frame = event.frame;
  const auto msr = static_cast<u32>(frame.rcx);
  if (!write) {
    return set_edx_eax(frame, read_msr(event.ghcb(), msr));
  }
  return write_msr(event.ghcb(), msr, u64{static_cast<u32>(frame.rax)} | frame.rdx << 32);
}

// DR7: bit 10 is one, 11, 12, 14, 15 are zero (APM2 3.1.5); Linux keeps 13 clear as well.
constexpr u64 dr7_fixed = bit(10), dr7_allowed = 0xFFFF23FF;

}  // namespace

Handled<void> emulate_cpuid(const VcEvent& event) {
  const auto leaf = static_cast<u32>(event.frame.rax), subleaf = static_cast<u32>(event.frame.rcx);
  LateHostCpuid host(event.ghcb());
  auto value = event.state.cpuid != nullptr
                   ? event.state.cpuid->query(leaf, subleaf, host, event.ghcb().processor())
                   : host.cpuid(leaf, subleaf);
  if (!value) {
    return Failure{value.error()};
  }
  if (leaf == encryption_leaf && event.state.has_svsm) {
    value->eax |= svsm_present;
  }
  event.frame.rax = value->eax;
  event.frame.rbx = value->ebx;
  event.frame.rcx = value->ecx;
  event.frame.rdx = value->edx;
  event.finish();
  return {};
}

Handled<void> emulate_msr(const VcEvent& event) {
  if (event.user()) {
    return trouble(general_protection());
  }
  const bool write = event.instruction.operation == Operation::wrmsr;
  Frame& frame = event.frame;
  if (static_cast<u32>(frame.rcx) == svsm::calling_area_msr && event.state.has_svsm) {
    if (!write) {
      frame.rax = static_cast<u32>(event.state.calling_area.value());
      frame.rdx = event.state.calling_area.value() >> 32;
    }
  } else if (const auto done = ask_for_msr(event, write); !done) {
    return Failure{done.error()};
  }
  event.finish();
  return {};
}

Handled<void> emulate_counter(const VcEvent& event) {
  const Operation operation = event.instruction.operation;
  // With Secure TSC an honest hypervisor intercepts neither.
  if (operation != Operation::rdpmc && event.state.policy.secure_tsc) {
    return trouble(Cause::vc_unsupported);
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  const ghcb::Event code = operation == Operation::rdtsc    ? ghcb::Event::rdtsc
                           : operation == Operation::rdtscp ? ghcb::Event::rdtscp
                                                            : ghcb::Event::rdpmc;
  event.ghcb().begin();
  if (operation == Operation::rdpmc) {
    event.ghcb().set(field::rcx, static_cast<u32>(event.frame.rcx));
  }
  if (const auto done = event.ghcb().call(number(code), 0, 0); !done) {
    return Failure{done.error()};
  }
  const auto aux = event.ghcb().answer(field::rcx);
  if (operation == Operation::rdtscp && !aux) {
    return Failure{aux.error()};
  }
  if (const auto taken = set_edx_eax(event.frame, edx_eax(event.ghcb())); !taken) {
    return taken;
  }
  if (operation == Operation::rdtscp) {
    event.frame.rcx = static_cast<u32>(*aux);
  }
  event.finish();
  return {};
}

// KVM's convention: number in RAX, arguments in RBX, RCX, RDX, RSI, result in RAX.
Handled<void> emulate_vmmcall(const VcEvent& event) {
  if (event.user() && !event.state.policy.user_vmmcall) {
    return trouble(Exception{static_cast<u8>(x86::Vector::ud)});
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  Frame& frame = event.frame;
  event.ghcb().begin();
  event.ghcb().set(field::rax, frame.rax);
  event.ghcb().set(field::rbx, frame.rbx);
  event.ghcb().set(field::rcx, frame.rcx);
  event.ghcb().set(field::rdx, frame.rdx);
  event.ghcb().set(field::rsi, frame.rsi);
  event.ghcb().set_cpl(static_cast<u8>(frame.cs & 3));
  if (const auto done = event.ghcb().call(number(ghcb::Event::vmmcall), 0, 0); !done) {
    return Failure{done.error()};
  }
  const auto result = event.ghcb().answer(field::rax);
  if (!result) {
    return Failure{result.error()};
  }
  frame.rax = *result;
  event.finish();
  return {};
}

Handled<void> emulate_cache_flush(const VcEvent& event) {
  if (event.user()) {
    return trouble(general_protection());
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  event.ghcb().begin();
  if (const auto done = event.ghcb().call(number(ghcb::Event::wbinvd), 0, 0); !done) {
    return Failure{done.error()};
  }
  event.finish();
  return {};
}

// The hypervisor hears of writes; a read is answered with what was written last.
Handled<void> emulate_debug_register(const VcEvent& event) {
  if (event.user()) {
    return trouble(general_protection());
  }
  if (event.state.policy.debug_swap) {
    return trouble(Cause::vc_unsupported);
  }
  u64& reg = gpr(event.frame, event.instruction.reg);
  if (event.instruction.operation == Operation::read_dr) {
    reg = event.state.dr7;
    event.finish();
    return {};
  }
  if (reg >> 32 != 0) {
    return trouble(general_protection());
  }
  const u64 value = (reg & dr7_allowed) | dr7_fixed;
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  event.ghcb().begin();
  event.ghcb().set(field::rax, value);
  if (const auto done = event.ghcb().call(number(ghcb::Event::dr7_write), 0, 0); !done) {
    return Failure{done.error()};
  }
  event.state.dr7 = value;
  event.finish();
  return {};
}

}  // namespace softsnp::guest

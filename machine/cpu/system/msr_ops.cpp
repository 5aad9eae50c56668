// RDMSR and WRMSR. APM2 15.11, 15.30; EFER write trap hardware sheet 7.1.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/msr_table.hpp"

namespace softsnp::cpu {
namespace {

bool in_scope(const MsrRow& row, bool guest) {
  return row.scope == MsrScope::any || (row.scope == MsrScope::guest) == guest;
}

using svm::ExitCode;
using x86::Gpr;

// The VMCB's MSR permissions map, two bits an MSR. CPUs may cache it; this one reads it.
bool map_intercepts(System& system, u32 number, bool write) {
  // SEV_STATUS cannot be intercepted (hardware sheet 1.2).
  if (number == x86::msr::sev_status) {
    return false;
  }
  // The x2APIC under alternate injection is VMPL0's, whatever the host's map says (hardware sheet
  // 6.4).
  if (system.controls().guest && system.controls().alternate_injection() &&
      number >= x86::msr::x2apic_first && number <= x86::msr::x2apic_last) {
    return true;
  }
  if (!system.intercepts(ExitCode::msr)) {
    return false;
  }
  u32 at = 0;
  if (!msr_map_bit(number, at)) {
    return true;
  }
  at += write ? 1 : 0;
  const SystemPhysical base(system.controls().vmcb.msrpm_base & ~page_offset_mask);
  const SystemPhysical byte = base + at / 8;
  if (!system.mmu().dram().contains(byte.page(), page_size)) {
    return true;
  }
  return has_bit(system.mmu().frame(byte.page(), memory::KeyId::none)[byte.page_offset()], at % 8);
}

bool begin(System& system, bool write, Step& out) {
  if (system.state().cpl != 0) {
    out = system.raise_gp();
    return false;
  }
  if (map_intercepts(system, static_cast<u32>(reg(system, Gpr::rcx)), write)) {
    out = system.intercept(ExitCode::msr, write ? 1 : 0);
    return false;
  }
  return true;
}

}  // namespace

bool msr_map_bit(u32 number, u32& bit_number) {
  constexpr u32 range = 0x2000;
  constexpr u32 starts[] = {0, 0xC0000000, 0xC0010000};
  for (u32 i = 0; i < 3; ++i) {
    if (number - starts[i] < range) {
      bit_number = (i * range + (number - starts[i])) * 2;
      return true;
    }
  }
  return false;
}

bool System::read_msr(u32 number, u64& value) {
  const MsrRow* row = find_msr(number);
  u64 result = 0;
  if (row == nullptr || row->read == nullptr || !in_scope(*row, controls_.guest) ||
      !row->read(*this, number, result)) {
    return false;
  }
  value = result;
  return true;
}

bool System::write_msr(u32 number, u64 value) {
  const MsrRow* row = find_msr(number);
  return row != nullptr && row->write != nullptr && in_scope(*row, controls_.guest) &&
         row->write(*this, number, value);
}

namespace handlers {

Step rdmsr(System& system, const Instruction&) {
  Step out{};
  if (!begin(system, false, out)) {
    return out;
  }
  u64 value = 0;
  if (!system.read_msr(static_cast<u32>(reg(system, Gpr::rcx)), value)) {
    return system.raise_gp();
  }
  reg(system, Gpr::rax) = static_cast<u32>(value);
  reg(system, Gpr::rdx) = value >> 32;
  return Step::next;
}

Step wrmsr(System& system, const Instruction&) {
  Step out{};
  if (!begin(system, true, out)) {
    return out;
  }
  const u32 number = static_cast<u32>(reg(system, Gpr::rcx));
  const u64 value = static_cast<u32>(reg(system, Gpr::rax)) | (reg(system, Gpr::rdx) << 32);
  if (!system.write_msr(number, value)) {
    return system.raise_gp();
  }
  if (number == x86::msr::efer && system.intercepts(ExitCode::efer_write_trap)) {
    system.state().rip = system.next_rip();
    return system.leave(ExitCode::efer_write_trap, value);
  }
  return Step::next;
}

}  // namespace handlers
}  // namespace softsnp::cpu

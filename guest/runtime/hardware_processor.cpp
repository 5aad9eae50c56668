#include "guest/runtime/hardware_processor.hpp"

#include "arch/x86/registers.hpp"
#include "guest/runtime/cpu.hpp"

namespace softsnp::guest {

u64 HardwareProcessor::read_msr(u32 number) {
  return rdmsr(number);
}
void HardwareProcessor::write_msr(u32 number, u64 value) {
  wrmsr(number, value);
}
void HardwareProcessor::vmgexit() {
  guest::vmgexit();
}

// The SVSM reads and writes these registers in the save area (SVSM sheet 3.1).
svsm::Registers HardwareProcessor::vmgexit_with(const svsm::Registers& in) {
  svsm::Registers out = in;
  register u64 r8 asm("r8") = in.r8;
  register u64 r9 asm("r9") = in.r9;
  asm volatile("rep; vmmcall"
               : "+a"(out.rax), "+c"(out.rcx), "+d"(out.rdx), "+r"(r8), "+r"(r9)
               :
               : "memory");
  out.r8 = r8;
  out.r9 = r9;
  return out;
}

RmpOutcome HardwareProcessor::pvalidate(GuestVirtual page, PageSize size, bool validated) {
  return guest::pvalidate(reinterpret_cast<const void*>(page.value()), size == PageSize::size_2m,
                          validated);
}
u32 HardwareProcessor::rmpadjust(GuestVirtual page, PageSize size, Vmpl target, u8 permissions,
                                 bool vmsa) {
  return guest::rmpadjust(reinterpret_cast<const void*>(page.value()), size == PageSize::size_2m,
                          static_cast<u8>(number(target)), permissions, vmsa);
}
u64 HardwareProcessor::read_cr2() {
  return guest::read_cr2();
}
u64 HardwareProcessor::read_cr3() {
  return guest::read_cr3();
}
u64 HardwareProcessor::read_cr4() {
  u64 value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
u64 HardwareProcessor::read_xcr0() {
  u32 low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return u64{high} << 32 | low;
}
void HardwareProcessor::flush_tlb() {
  guest::write_cr3(guest::read_cr3());
}
bool HardwareProcessor::disable_interrupts() {
  u64 flags;
  asm volatile("pushfq; pop %0; cli" : "=r"(flags) : : "memory");
  return (flags & x86::rflags::if_) != 0;
}
void HardwareProcessor::enable_interrupts() {
  asm volatile("sti" : : : "memory");
}
void HardwareProcessor::relax() {
  asm volatile("pause");
}
void HardwareProcessor::halt() {
  asm volatile("cli; hlt" : : : "memory");
}

}  // namespace softsnp::guest

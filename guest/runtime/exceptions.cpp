#include "guest/runtime/exceptions.hpp"

// Entry stubs: 16 bytes each, vector and error code pushed alike for all.
asm(R"(
.text
.balign 16
softsnp_guest_stubs:
.set vector, 0
.rept 32
  .balign 16
  .if (vector == 8) || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .byte 0x90, 0x90
  .else
    push $0
  .endif
  push $vector
  jmp softsnp_guest_common
  .set vector, vector + 1
.endr
softsnp_guest_common:
  cld
  push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8
  push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax
  mov %rsp, %rdi
  mov %rsp, %rbp
  and $-16, %rsp
  call softsnp_guest_exception
  mov %rbp, %rsp
  pop %rax; pop %rbx; pop %rcx; pop %rdx; pop %rsi; pop %rdi; pop %rbp
  pop %r8; pop %r9; pop %r10; pop %r11; pop %r12; pop %r13; pop %r14; pop %r15
  add $16, %rsp
  iretq
)");

extern "C" const char softsnp_guest_stubs[];

namespace softsnp::guest {
namespace {

struct __attribute__((packed)) TableRegister {
  u16 limit;
  u64 base;
};

}  // namespace

void install_exceptions(ExceptionTables& tables) {
  tables.gdt[0] = 0;
  tables.gdt[1] = 0x00AF9B000000FFFF;  // 64-bit code
  tables.gdt[2] = 0x00CF93000000FFFF;  // data
  const TableRegister gdtr{sizeof tables.gdt - 1, reinterpret_cast<u64>(tables.gdt)};
  asm volatile(
      "lgdt %0\n"
      "push $8\n"
      "lea 1f(%%rip), %%rax\n"
      "push %%rax\n"
      "lretq\n"
      "1: mov $16, %%eax\n"
      "mov %%eax, %%ds; mov %%eax, %%es; mov %%eax, %%ss\n"
      :
      : "m"(gdtr)
      : "rax", "memory");
  for (unsigned i = 0; i < 32; ++i) {
    const u64 at = reinterpret_cast<u64>(softsnp_guest_stubs) + 16 * i;
    tables.idt[i] = {static_cast<u16>(at),       8, 0, 0x8E, static_cast<u16>(at >> 16),
                     static_cast<u32>(at >> 32), 0};
  }
  const TableRegister idtr{sizeof tables.idt - 1, reinterpret_cast<u64>(tables.idt)};
  asm volatile("lidt %0" : : "m"(idtr));
}

}  // namespace softsnp::guest

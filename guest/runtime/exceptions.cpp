#include "guest/runtime/exceptions.hpp"

#include "arch/svm/exit_code.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/vc_handler.hpp"

// Entry stubs: 16 bytes each, vector and error code pushed alike for all.
asm(R"(
.text
.balign 16
guest_stubs:
.set vector, 0
.rept 32
  .balign 16
  .if (vector == 8) || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .byte 0x90, 0x90
  .else
    push $0
  .endif
  push $vector
  jmp guest_common
  .set vector, vector + 1
.endr
guest_common:
  push %r15; push %r14; push %r13; push %r12; push %r11; push %r10; push %r9; push %r8
  push %rbp; push %rdi; push %rsi; push %rdx; push %rcx; push %rbx; push %rax
  mov %rsp, %rdi
  mov %rsp, %rbp
  and $-16, %rsp
  call guest_exception
  mov %rbp, %rsp
  pop %rax; pop %rbx; pop %rcx; pop %rdx; pop %rsi; pop %rdi; pop %rbp
  pop %r8; pop %r9; pop %r10; pop %r11; pop %r12; pop %r13; pop %r14; pop %r15
  add $16, %rsp
  iretq

# u64 guest_probe_read(at): the load may fault; then RIP goes to guest_probe_fixup.
guest_probe_read:
guest_probe_load:
  mov (%rdi), %rax
  ret
guest_probe_write:
guest_probe_store:
  mov %rsi, (%rdi)
  ret
guest_probe_fixup:
  xor %eax, %eax
  ret
)");

extern "C" {
softsnp::u64 guest_probe_read(const volatile void* at);
void guest_probe_write(volatile void* at, softsnp::u64 value);
extern const char guest_stubs[], guest_probe_load[], guest_probe_store[], guest_probe_fixup[];
void guest_exception(softsnp::guest::Frame* frame);
}

namespace softsnp::guest {
namespace {

struct Gate {
  u16 offset_low, selector;
  u8 ist, type;
  u16 offset_middle;
  u32 offset_high, reserved;
};
struct __attribute__((packed)) TableRegister {
  u16 limit;
  u64 base;
};

Gate idt[32];
u64 gdt[3] = {0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
ProbeResult last_probe;

u64 address_of(const char* label) {
  return reinterpret_cast<u64>(label);
}

u64 read_cr2() {
  u64 value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}

[[noreturn]] void die(const Frame& frame) {
  print("unexpected exception ", frame.vector, " error ", Hex{frame.error}, " at ", Hex{frame.rip},
        " address ", Hex{read_cr2()}, "\n");
  halt_forever();
}

}  // namespace

void install_exceptions() {
  const TableRegister gdtr{sizeof gdt - 1, reinterpret_cast<u64>(gdt)};
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
    const u64 at = address_of(guest_stubs) + 16 * i;
    idt[i] = {static_cast<u16>(at),       8, 0, 0x8E, static_cast<u16>(at >> 16),
              static_cast<u32>(at >> 32), 0};
  }
  const TableRegister idtr{sizeof idt - 1, reinterpret_cast<u64>(idt)};
  asm volatile("lidt %0" : : "m"(idtr));
}

ProbeResult probe_read(const volatile void* at) {
  last_probe = {};
  const u64 value = guest_probe_read(at);
  last_probe.value = last_probe.faulted ? 0 : value;
  return last_probe;
}

ProbeResult probe_write(volatile void* at, u64 value) {
  last_probe = {};
  guest_probe_write(at, value);
  return last_probe;
}

// Called by the stubs with the saved registers.
void handle_exception(Frame& frame) {
  const bool probing =
      frame.rip == address_of(guest_probe_load) || frame.rip == address_of(guest_probe_store);
  if (probing) {
    last_probe = {true, frame.vector, frame.error, read_cr2(), 0};
    frame.rip = address_of(guest_probe_fixup);
    return;
  }
  if (frame.vector == 29 && handle_vc(frame)) {
    return;
  }
  die(frame);
}

}  // namespace softsnp::guest

void guest_exception(softsnp::guest::Frame* frame) {
  softsnp::guest::handle_exception(*frame);
}

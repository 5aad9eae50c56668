#include "guest/runtime/start.hpp"

asm(R"(
.section .text.entry, "ax"
.globl softsnp_guest_entry
softsnp_guest_entry:
  cld
  lea softsnp_stack_top(%rip), %rsp
  mov %rsi, %rdi
  xor %ebp, %ebp
  call softsnp_guest_main
1: cli
  hlt
  jmp 1b
.bss
.balign 16
.skip 65536
softsnp_stack_top:
.text
)");

# An ELF64 kernel: entered in 64-bit mode with RSI = boot_params. Prints, checks the mode and the
# command line ("hello ..."), leaves through isa-debug-exit with 10h if all was well.
.section .text
.globl _start
_start:
  lea stack_top(%rip), %rsp
  mov $0xC0010131, %ecx
  rdmsr
  test $4, %al
  jz plain
  mov $0xC0010130, %ecx
  mov $0x1100, %eax                    # termination, set 1, code 0
  xor %edx, %edx
  wrmsr
  rep; vmmcall
1: hlt
  jmp 1b

plain:
  lea text(%rip), %rbx
2: mov (%rbx), %al
  test %al, %al
  jz 3f
  mov $0x3F8, %dx
  out %al, %dx
  inc %rbx
  jmp 2b
3: mov $0x20, %r8d
  mov $0x100000000, %rax               # more than 32 bits: is this 64-bit mode?
  shr $32, %rax
  cmp $1, %rax
  jne leave
  mov $0x21, %r8d
  cmpl $0x53726448, 0x202(%rsi)        # "HdrS"
  jne leave
  mov $0x22, %r8d
  mov 0x228(%rsi), %eax
  cmpl $0x6c6c6568, (%rax)             # "hell"
  jne leave
  mov $0x10, %r8d
leave:
  mov %r8d, %eax
  mov $0xF4, %dx
  out %al, %dx
4: hlt
  jmp 4b

.section .rodata
text: .asciz "hello from 64 bits\n"
.bss
.balign 16
.skip 4096
stack_top:

# A Multiboot 1 kernel of 32-bit entry: checks what the loader promised, prints what it found and
# leaves through isa-debug-exit with 10h if all was well. A guest with SEV-SNP cannot use ports
# without a handler: it asks for termination (set 1, code 0) by the MSR protocol.
.code32
.section .multiboot, "a"
.balign 4
.long 0x1BADB002
.long 0x00000003                       # page align, memory information
.long -(0x1BADB002 + 0x00000003)

.text
.globl _start
_start:
  mov $stack_top, %esp
  mov %eax, %esi                       # magic
  mov %ebx, %edi                       # information
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
  mov $text, %ebp
2: mov (%ebp), %al
  test %al, %al
  jz 3f
  mov $0x3F8, %dx
  out %al, %dx
  inc %ebp
  jmp 2b
3: mov $0x20, %al
  cmp $0x2BADB002, %esi
  jne leave
  mov $0x21, %al
  mov (%edi), %ecx                     # flags: memory, command line, map
  and $0x45, %ecx
  cmp $0x45, %ecx
  jne leave
  mov $0x22, %al
  mov 16(%edi), %ecx                   # command line
  cmpl $0x6c6c6568, (%ecx)             # "hell"
  jne leave
  mov $0x10, %al
leave:
  mov $0xF4, %dx
  out %al, %dx
4: hlt
  jmp 4b

.section .rodata
text: .asciz "hello from 32 bits\n"
.bss
.balign 16
.skip 4096
stack_top:

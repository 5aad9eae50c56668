// Where the loader enters: 64-bit mode, RSI = boot_params, identity map.
#include "guest/runtime/exceptions.hpp"
#include "guest/samples/guest_main.hpp"

asm(R"(
.section .text.entry, "ax"
.globl guest_entry
guest_entry:
  lea guest_stack_top(%rip), %rsp
  mov %rsi, %rdi
  xor %ebp, %ebp
  call guest_start
1: cli
  hlt
  jmp 1b
.bss
.balign 16
.skip 32768
guest_stack_top:
.text
)");

extern "C" void guest_start(const softsnp::u8* boot_params);

namespace {
softsnp::guest::ExceptionTables tables;
}

void guest_start(const softsnp::u8* boot_params) {
  softsnp::guest::install_exceptions(tables);
  softsnp::guest::guest_main(boot_params);
}

// The compiler calls these whatever the flags say.
extern "C" {
void* memset(void* to, int value, softsnp::usize size) {
  auto* at = static_cast<volatile unsigned char*>(to);
  for (softsnp::usize i = 0; i < size; ++i) {
    at[i] = static_cast<unsigned char>(value);
  }
  return to;
}
void* memcpy(void* to, const void* from, softsnp::usize size) {
  auto* out = static_cast<volatile unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (softsnp::usize i = 0; i < size; ++i) {
    out[i] = in[i];
  }
  return to;
}
}

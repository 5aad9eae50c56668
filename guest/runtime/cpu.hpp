// Instructions that C++ has no name for. Freestanding, inside the guest.
#pragma once

#include "arch/x86/msr.hpp"
#include "base/types.hpp"
#include "guest/runtime/processor.hpp"

namespace softsnp::guest {

inline u64 rdmsr(u32 number) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
  return u64{high} << 32 | low;
}
inline void wrmsr(u32 number, u64 value) {
  asm volatile("wrmsr"
               :
               : "c"(number), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
               : "memory");
}
inline u64 read_cr2() {
  u64 value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline u64 read_cr3() {
  u64 value;
  asm volatile("mov %%cr3, %0" : "=r"(value));
  return value;
}
inline void write_cr3(u64 value) {
  asm volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

struct Cpuid {
  u32 eax, ebx, ecx, edx;
};
inline Cpuid cpuid(u32 leaf, u32 subleaf = 0) {
  Cpuid r;
  asm volatile("cpuid"
               : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
               : "a"(leaf), "c"(subleaf));
  return r;
}
inline u64 rdrand() {
  for (;;) {
    u64 value;
    bool good;
    asm volatile("rdrand %0" : "=r"(value), "=@ccc"(good));
    if (good) {
      return value;
    }
  }
}
inline void out8(u16 port, u8 value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
[[noreturn]] inline void halt_forever() {
  for (;;) {
    asm volatile("cli; hlt");
  }
}

// VMGEXIT, F3 0F 01 D9 (hardware sheet 4.8).
inline void vmgexit() {
  asm volatile("rep; vmmcall" : : : "memory");
}

// Hardware sheet 4.6: F2 0F 01 FF.
inline RmpOutcome pvalidate(const volatile void* at, bool large, bool validate) {
  u32 result;
  bool carry;
  asm volatile(".byte 0xF2, 0x0F, 0x01, 0xFF"
               : "=a"(result), "=@ccc"(carry)
               : "a"(at), "c"(large ? 1u : 0u), "d"(validate ? 1u : 0u)
               : "memory");
  return {result, carry};
}
// Hardware sheet 4.7: F3 0F 01 FE.
inline u32 rmpadjust(const volatile void* at, bool large, u8 target_vmpl, u8 mask, bool vmsa) {
  u64 result;
  asm volatile(".byte 0xF3, 0x0F, 0x01, 0xFE"
               : "=a"(result)
               : "a"(at), "c"(u64{large}), "d"(u64{target_vmpl} | u64{mask} << 8 | u64{vmsa} << 16)
               : "memory", "cc");
  return static_cast<u32>(result);
}
// Hardware sheet 4.4, executed in a guest: FAIL_PERMISSION.
inline u32 rmpupdate(u64 spa, const void* entry) {
  u64 result;
  asm volatile(".byte 0xF2, 0x0F, 0x01, 0xFE"
               : "=a"(result)
               : "a"(spa), "c"(entry)
               : "memory", "cc");
  return static_cast<u32>(result);
}

}  // namespace softsnp::guest

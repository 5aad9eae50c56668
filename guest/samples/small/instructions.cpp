// The other intercepted instructions, and exceptions that come back instead of a result.
#include "arch/boot/platform.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

u64 read_dr7() {
  u64 value;
  asm volatile("mov %%dr7, %0" : "=r"(value));
  return value;
}
void write_dr7(u64 value) {
  asm volatile("mov %0, %%dr7" : : "r"(value));
}
u64 rdtsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

}  // namespace

void run(SmallGuest& guest) {
  const u64 before = rdtsc();
  u32 low, high, aux;
  asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
  check(guest, "time goes on", (u64{high} << 32 | low) > before);
  asm volatile("wbinvd" : : : "memory");
  write_dr7(read_dr7() | 0x300);
  check(guest, "DR7 keeps what was written", (read_dr7() & 0x300) == 0x300);
  u64 result = 100;  // no such hypercall: -KVM_ENOSYS
  asm volatile("vmmcall" : "+a"(result) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
  check(guest, "an unknown hypercall", result == static_cast<u64>(-1000));
  asm volatile("monitor" : : "a"(&result), "c"(0), "d"(0));
  asm volatile("mwait" : : "a"(0), "c"(0));
  check(guest, "MONITOR and MWAIT pass", true);

  guest.must(
      guest.tables().set_encrypted({GuestPhysical(boot::platform::ioapic_address), 1}, false));
  auto* ioapic = reinterpret_cast<volatile u32*>(u64{boot::platform::ioapic_address});
  ioapic[0] = 1;  // IOREGSEL: version
  const u32 version = ioapic[4];
  print("IOAPIC version register ", Hex{version}, "\n");
  check(guest, "device memory", (version & 0xFF) == 0x11 || (version & 0xFF) == 0x20);

  const Seen seen = attempt([](void*) { rdmsr(0xC0019999); }, nullptr);
  check(guest, "an unknown MSR raises #GP", seen.any && seen.vector == 13);
  const Seen write = attempt([](void*) { wrmsr(0xC0019999, 1); }, nullptr);
  check(guest, "for writes too", write.any && write.vector == 13);
  const Seen fault = attempt(
      [](void*) {
        asm volatile("rep outsb" : : "S"(u64{1} << 40), "c"(1), "d"(u16{0x80}));
      },
      nullptr);
  check(guest, "a string without memory raises #PF",
        fault.any && fault.vector == 14 && fault.address == u64{1} << 40);
  if (guest.boot().option("invd") != nullptr) {
    asm volatile("invd");  // ends the guest
  }
}

}  // namespace softsnp::guest

#include "guest/samples/guest_probe.hpp"

asm(R"(
.text
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
extern const char guest_probe_load[], guest_probe_store[], guest_probe_fixup[];
}

namespace softsnp::guest {
namespace {

ProbeResult last_probe;

u64 address_of(const char* label) {
  return reinterpret_cast<u64>(label);
}

}  // namespace

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

bool end_probe(Frame& frame, u64 cr2) {
  if (frame.rip != address_of(guest_probe_load) && frame.rip != address_of(guest_probe_store)) {
    return false;
  }
  last_probe = {true, frame.vector, frame.error, cr2, 0};
  frame.rip = address_of(guest_probe_fixup);
  return true;
}

}  // namespace softsnp::guest

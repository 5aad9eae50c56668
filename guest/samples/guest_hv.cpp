#include "guest/samples/guest_hv.hpp"

#include "arch/x86/msr.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/memory_conversion.hpp"
#include "guest/runtime/termination.hpp"

namespace softsnp::guest {
namespace {

constexpr DirectMap identity{};
alignas(page_size) struct {
  ghcb::DoorbellPage page;
  u8 rest[page_size - sizeof(ghcb::DoorbellPage)];
} bell;
HvEvents* started = nullptr;

void switch_apic_on() {
  constexpr u64 x2apic = u64{3} << 10;
  constexpr u32 spurious_vector = x86::msr::x2apic_first + 0xF;
  wrmsr(x86::msr::apic_base, rdmsr(x86::msr::apic_base) | x2apic);
  wrmsr(spurious_vector, 0x1FF);
}

}  // namespace

HvDoorbell& doorbell() {
  static HvDoorbell the_doorbell(ghcb(), bell.page, identity.of(&bell));
  return the_doorbell;
}

ghcb::DoorbellPage& doorbell_page() {
  return bell.page;
}

HvEvents* hv_events() {
  return started;
}

HvEvents& start_doorbell(HvHandlers& handlers) {
  LatePageState path(ghcb());
  DirectValidation validation(processor(), identity);
  MemoryConversion conversion(path, validation, page_tables());
  or_terminate(processor(), conversion.make_shared({identity.of(&bell), 1}));
  bell = {};
  static HvEvents events(processor().bare(), doorbell(), handlers, hv_code());
  if (!doorbell().start()) {
    terminate(processor(), Cause::host_error);
  }
  switch_apic_on();
  started = &events;
  processor().attach(events);
  return events;
}

}  // namespace softsnp::guest

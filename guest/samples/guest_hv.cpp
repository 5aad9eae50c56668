#include "guest/samples/guest_hv.hpp"

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
  if (!doorbell().start() || !doorbell().enable_apic()) {
    terminate(processor(), Cause::host_error);
  }
  started = &events;
  processor().attach(events);
  return events;
}

}  // namespace softsnp::guest

// A guest at VMPL2 that tries its SVSM: all conformance cases, or with case=NAME on the command
// line one thing.
#include <new>

#include "guest/runtime/start.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_guest/cases.hpp"
#include "guest/svsm_guest/machine_stage.hpp"
#include "guest/vmpl0/guarded.hpp"

namespace softsnp::guest {
namespace {

SmallGuestMemory memory;
alignas(SmallGuest) u8 guest_storage[sizeof(SmallGuest)];

SmallGuest& the_guest() {
  return *std::launder(reinterpret_cast<SmallGuest*>(guest_storage));
}

void end(const Frame&, const Exception&) {
  the_guest().end(Cause::vc_unsupported);
}

void conform(SmallGuest& guest) {
  MachineStage stage(guest);
  conformance::run_all(stage);
  print("SVSM conformance: ", stage.judged(), " judged, ", stage.failed(), " failed\n");
}

void run(SmallGuest& guest) {
  const char* const name = guest.boot().option("case");
  for (const SvsmCase& one : svsm_cases()) {
    if (name != nullptr && is_word(name, one.name)) {
      return one.run(guest);
    }
  }
  conform(guest);
}

}  // namespace
}  // namespace softsnp::guest

// Faults of the guarded accesses are answers.
void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  if (!softsnp::svsm::end_guarded(*frame)) {
    softsnp::guest::the_guest().handle(*frame, softsnp::guest::end);
  }
}

void softsnp_guest_main(const softsnp::u8* boot_params) {
  using namespace softsnp::guest;
  auto& guest = *new (guest_storage) SmallGuest(memory, boot_params);
  print("at VMPL", softsnp::u64{number(guest.vmpl())}, "\n");
  run(guest);
  guest.power_off();
}

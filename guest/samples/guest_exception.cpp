#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/vc_handler.hpp"
#include "guest/samples/guest_hv.hpp"
#include "guest/samples/guest_probe.hpp"
#include "guest/samples/guest_state.hpp"

namespace softsnp::guest {
namespace {

[[noreturn]] void die(const Frame& frame) {
  print("unexpected exception ", frame.vector, " error ", Hex{frame.error}, " at ", Hex{frame.rip},
        " address ", Hex{read_cr2()}, "\n");
  halt_forever();
}

// No CPUID page: the sample asks the hypervisor, so that the exits of CPUID can be counted.
VcState& vc_state() {
  static PagedMemory memory(processor(), DirectMap{}, snp::c_bit);
  static VcState state{ghcb(), memory};
  return state;
}

void handle_by_vector(Frame& frame) {
  if (end_probe(frame, read_cr2())) {
    return;
  }
  if (frame.vector == 29 && handle_vc(vc_state(), frame)) {
    return;
  }
  die(frame);
}

// Under restricted injection whoever returns to code with IF = 1 looks into the doorbell page.
void handle(Frame& frame) {
  HvEvents* const events = hv_events();
  const bool were_on = (frame.rflags & x86::rflags::if_) != 0;
  if (events != nullptr && frame.vector == static_cast<u64>(x86::Vector::hv)) {
    events->arrived(frame.rip, were_on);
    return;
  }
  handle_by_vector(frame);
  if (events != nullptr && were_on) {
    events->before_return();
  }
}

}  // namespace
}  // namespace softsnp::guest

void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  softsnp::guest::handle(*frame);
}

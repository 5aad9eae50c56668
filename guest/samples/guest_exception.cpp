#include "arch/snp/features.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/vc_handler.hpp"
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

void handle(Frame& frame) {
  if (end_probe(frame, read_cr2())) {
    return;
  }
  if (frame.vector == 29 && handle_vc(vc_state(), frame)) {
    return;
  }
  die(frame);
}

}  // namespace
}  // namespace softsnp::guest

void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  softsnp::guest::handle(*frame);
}

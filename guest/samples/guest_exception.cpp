#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/vc_handler.hpp"
#include "guest/samples/guest_probe.hpp"
#include "guest/samples/guest_state.hpp"

namespace softsnp::guest {
namespace {

u64 read_cr2() {
  u64 value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}

[[noreturn]] void die(const Frame& frame) {
  print("unexpected exception ", frame.vector, " error ", Hex{frame.error}, " at ", Hex{frame.rip},
        " address ", Hex{read_cr2()}, "\n");
  halt_forever();
}

}  // namespace
}  // namespace softsnp::guest

void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  using namespace softsnp::guest;
  if (end_probe(*frame, read_cr2())) {
    return;
  }
  if (frame->vector == 29 && handle_vc(ghcb(), *frame)) {
    return;
  }
  die(*frame);
}

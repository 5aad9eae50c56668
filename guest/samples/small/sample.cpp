#include "guest/samples/small/sample.hpp"

#include <new>

#include "guest/runtime/cpu.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/start.hpp"

// u64 sample_attempt(act, context, saved): RSP and RBX to RBP, R12 to R15 are kept in saved;
// sample_recover goes back there.
asm(R"(
sample_attempt:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
  mov %rsp, (%rdx)
  mov %rdi, %rax
  mov %rsi, %rdi
  sub $8, %rsp
  call *%rax
  add $8, %rsp
sample_recover:
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
)");

extern "C" {
void sample_attempt(void (*act)(void*), void* context, softsnp::u64* saved);
extern const char sample_recover[];
}

namespace softsnp::guest {
namespace {

SmallGuestMemory memory;
alignas(SmallGuest) u8 guest_storage[sizeof(SmallGuest)];
u64 saved_rsp;
Seen seen;
void (*hv_action)(Frame& frame);

SmallGuest& the_guest() {
  return *std::launder(reinterpret_cast<SmallGuest*>(guest_storage));
}

// Back to the attempt; without one the guest has a mistake.
void meet(const Frame& frame, const Exception& exception) {
  if (saved_rsp == 0) {
    print("unexpected exception ", u64{exception.vector}, " error ", Hex{exception.error}, " at ",
          Hex{frame.rip}, " address ", Hex{exception.address}, "\n");
    the_guest().end(Cause::vc_unsupported);
  }
  seen = {exception.vector, exception.error, exception.address, true};
  auto& changed = const_cast<Frame&>(frame);
  changed.rip = reinterpret_cast<u64>(sample_recover);
  changed.rsp = saved_rsp;
}

}  // namespace

void on_hv(void (*act)(Frame& frame)) {
  hv_action = act;
}

Seen attempt(void (*act)(void*), void* context) {
  seen = {};
  sample_attempt(act, context, &saved_rsp);
  saved_rsp = 0;
  return seen;
}

void check(SmallGuest& guest, const char* what, bool good) {
  print(good ? "ok " : "WRONG ", what, "\n");
  if (!good) {
    guest.end(Cause::host_error);
  }
}

}  // namespace softsnp::guest

void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  using namespace softsnp::guest;
  if (hv_action != nullptr &&
      frame->vector == static_cast<softsnp::u64>(softsnp::x86::Vector::hv)) {
    hv_action(*frame);
    return;
  }
  the_guest().handle(*frame, meet);
}

void softsnp_guest_main(const softsnp::u8* boot_params) {
  using namespace softsnp::guest;
  auto& guest = *new (guest_storage) SmallGuest(memory, boot_params);
  print("sample at VMPL ", softsnp::u64{number(guest.vmpl())}, "\n");
  run(guest);
  print("sample done\n");
  guest.power_off();
}

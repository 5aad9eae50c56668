// Memory that is accepted when it is first touched. The sample gives up the validation of two
// blocks that the loader had validated, as if they had never been accepted.
#include "guest/runtime/cpu.hpp"
#include "guest/samples/small/sample.hpp"

extern "C" char guest_image_end[];

namespace softsnp::guest {
namespace {

u64 unaccepted[1];

void touch(void* at) {
  *static_cast<volatile u64*>(at) = 7;
}

}  // namespace

void run(SmallGuest& guest) {
  const GuestPhysical first(align_up(reinterpret_cast<u64>(guest_image_end), large_page_size));
  PageRange range{first, 1024};
  const PageBatch blocks(range, PageSizes::large_too);
  if (!guest.validation().set(blocks.all(), false)) {
    guest.end(Cause::pvalidate_failed);
  }
  unaccepted[0] = 1;  // the first block; the second is nobody's business
  LazyAcceptance lazy(guest.page_state(), guest.validation(), first, unaccepted);
  guest.vc().acceptance = &lazy;

  auto* memory = reinterpret_cast<volatile u64*>(first.value());
  memory[0x1000] = 5;
  memory[0x3FFFF] = 6;
  check(guest, "the first touch accepts a block", memory[0x1000] == 5 && memory[0x3FFFF] == 6);
  check(guest, "once", !lazy.is_unaccepted(first));
  const auto again = lazy.accept(first);
  check(guest, "and never twice", !again.ok() && again.error() == Cause::page_not_validated);
  if (guest.boot().option("touch") != nullptr) {
    touch(reinterpret_cast<void*>((first + large_page_size).value()));  // ends the guest
  }
}

}  // namespace softsnp::guest

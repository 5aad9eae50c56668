#include "guest/runtime/small_guest.hpp"
#include "guest/runtime/start.hpp"

using namespace softsnp::guest;

namespace {
SmallGuestMemory memory;
SmallGuest* guest;
}  // namespace

void softsnp_guest_exception(Frame* frame) {
  guest->handle(*frame, [](const Frame&, const Exception&) { guest->end(Cause::vc_unsupported); });
}

void softsnp_guest_main(const softsnp::u8* boot_params) {
  SmallGuest here(memory, boot_params);
  guest = &here;
  print("a guest from elsewhere, GHCB version ", softsnp::u64{here.protocol().version}, "\n");
  here.power_off();
}

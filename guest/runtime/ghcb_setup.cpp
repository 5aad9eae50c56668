#include "guest/runtime/ghcb_setup.hpp"

namespace softsnp::guest {

Checked<void> register_ghcb(Processor& processor, GuestPhysical at) {
  return MsrProtocol(processor).register_ghcb(at);
}

Checked<void> GhcbSetup::run(ghcb::Ghcb& page, GuestPhysical at) {
  const PageRange range{at, 1};
  if (snp) {
    EarlyPageState early(processor);
    MemoryConversion conversion(early, validation, map, PageSizes::small_only);
    if (const auto shared = conversion.make_shared(range); !shared) {
      return shared;
    }
    if (const auto registered = register_ghcb(processor, at); !registered) {
      return registered;
    }
  } else if (const auto mapped = map.set_encrypted(range, false); !mapped) {
    return mapped;
  }
  for (u8& byte : page.raw) {
    byte = 0;
  }
  return {};
}

}  // namespace softsnp::guest

// The halt of HvEvents::wait(). STI holds nothing back but a virtual interrupt, of which there is
// none: #HV can come between it and HLT.
#include "guest/runtime/hv_exception.hpp"

asm(R"(
.text
softsnp_hv_idle_run:
  testb $0x80, (%rdi)
softsnp_hv_idle_begin:
  jnz softsnp_hv_idle_end
  sti
softsnp_hv_idle_hlt:
  hlt
softsnp_hv_idle_end:
  cli
  ret
)");

extern "C" {
void softsnp_hv_idle_run(const volatile softsnp::u8* flags);
extern const char softsnp_hv_idle_begin[], softsnp_hv_idle_hlt[], softsnp_hv_idle_end[];
}

namespace softsnp::guest {

static_assert(ghcb::doorbell::no_further_signal == 0x80);

HvIdle hv_idle() {
  const auto address = [](const char* label) { return reinterpret_cast<u64>(label); };
  return {address(softsnp_hv_idle_begin), address(softsnp_hv_idle_hlt),
          address(softsnp_hv_idle_end), &softsnp_hv_idle_run};
}

}  // namespace softsnp::guest

// HLT and VMGEXIT for HvEvents. STI holds nothing back but a virtual interrupt, of which there is
// none: #HV can come between it and HLT. #HV's handler changes the GHCB MSR, so that between WRMSR
// and VMGEXIT it must not return.
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/x86/msr.hpp"
#include "guest/runtime/hv_exception.hpp"

asm(R"(
.text
softsnp_hv_halt:
  testb $0x80, (%rdi)
softsnp_hv_halt_begin:
  jnz softsnp_hv_halt_end
  sti
softsnp_hv_halt_last:
  hlt
softsnp_hv_halt_end:
  cli
  ret

softsnp_hv_run_vmpl:
  xor %r8d, %r8d
  testb $0x80, (%rdi)
softsnp_hv_switch_begin:
  jnz softsnp_hv_switch_end
  mov $0x16, %eax
  mov %esi, %edx
  mov $0xC0010130, %ecx
  wrmsr
softsnp_hv_switch_last:
  rep; vmmcall
  mov $1, %r8d
softsnp_hv_switch_end:
  mov %r8d, %eax
  ret
)");

extern "C" {
void softsnp_hv_halt(const volatile softsnp::u8* flags);
softsnp::u32 softsnp_hv_run_vmpl(const volatile softsnp::u8* flags, softsnp::u32 vmpl);
extern const char softsnp_hv_halt_begin[], softsnp_hv_halt_last[], softsnp_hv_halt_end[],
    softsnp_hv_switch_begin[], softsnp_hv_switch_last[], softsnp_hv_switch_end[];
}

namespace softsnp::guest {

static_assert(ghcb::doorbell::no_further_signal == 0x80);
static_assert(encode(ghcb::RunVmplRequest{2}) == 0x2'0000'0016 && x86::msr::ghcb == 0xC0010130);

HvCode hv_code() {
  const auto window = [](const char* begin, const char* last, const char* end) {
    return HvWindow{reinterpret_cast<u64>(begin), reinterpret_cast<u64>(last),
                    reinterpret_cast<u64>(end)};
  };
  return {window(softsnp_hv_halt_begin, softsnp_hv_halt_last, softsnp_hv_halt_end),
          window(softsnp_hv_switch_begin, softsnp_hv_switch_last, softsnp_hv_switch_end),
          &softsnp_hv_halt, &softsnp_hv_run_vmpl};
}

}  // namespace softsnp::guest

#include "guest/vmpl0/embedded.hpp"

// The assembler takes the files in; the build names them.
asm(".section .rodata\n"
    ".balign 16\n"
    "softsnp_svsm_begin:\n"
    ".incbin \"" SOFTSNP_SVSM_ELF
    "\"\n"
    "softsnp_svsm_end:\n"
    ".balign 16\n"
    "softsnp_svsm_guest_begin:\n"
    ".incbin \"" SOFTSNP_SVSM_GUEST_ELF
    "\"\n"
    "softsnp_svsm_guest_end:\n"
    ".previous\n");

extern "C" {
extern const unsigned char softsnp_svsm_begin[], softsnp_svsm_end[], softsnp_svsm_guest_begin[],
    softsnp_svsm_guest_end[];
}

namespace softsnp::guest {

std::span<const unsigned char> svsm_image() {
  return {softsnp_svsm_begin, softsnp_svsm_end};
}
std::span<const unsigned char> svsm_guest_image() {
  return {softsnp_svsm_guest_begin, softsnp_svsm_guest_end};
}

}  // namespace softsnp::guest

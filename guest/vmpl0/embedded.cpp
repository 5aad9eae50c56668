#include "guest/vmpl0/embedded.hpp"

// The assembler takes the file in; the build names it.
asm(".section .rodata\n"
    ".balign 16\n"
    "softsnp_svsm_begin:\n"
    ".incbin \"" SOFTSNP_SVSM_ELF
    "\"\n"
    "softsnp_svsm_end:\n"
    ".previous\n");

extern "C" const unsigned char softsnp_svsm_begin[];
extern "C" const unsigned char softsnp_svsm_end[];

namespace softsnp::guest {

std::span<const unsigned char> svsm_image() {
  return {softsnp_svsm_begin, softsnp_svsm_end};
}

}  // namespace softsnp::guest

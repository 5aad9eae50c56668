#include "guest/samples/embedded.hpp"

// The assembler takes the file in; the build names it.
asm(".section .rodata\n"
    ".balign 16\n"
    "softsnp_sample_begin:\n"
    ".incbin \"" SOFTSNP_SAMPLE_ELF
    "\"\n"
    "softsnp_sample_end:\n"
    ".previous\n");

extern "C" const unsigned char softsnp_sample_begin[];
extern "C" const unsigned char softsnp_sample_end[];

namespace softsnp::guest {

std::span<const unsigned char> sample_image() {
  return {softsnp_sample_begin, softsnp_sample_end};
}

}  // namespace softsnp::guest

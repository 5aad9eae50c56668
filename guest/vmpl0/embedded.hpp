// The SVSM, and the guest at VMPL2 that tries it, inside the program: ELF64 images.
#pragma once

#include <span>

namespace softsnp::guest {

std::span<const unsigned char> svsm_image();
std::span<const unsigned char> svsm_guest_image();

}  // namespace softsnp::guest

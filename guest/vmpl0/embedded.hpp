// The SVSM (an ELF64 image) inside the program.
#pragma once

#include <span>

namespace softsnp::guest {

std::span<const unsigned char> svsm_image();

}  // namespace softsnp::guest

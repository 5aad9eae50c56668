// The built-in sample guest (an ELF64 image) inside the program.
#pragma once

#include <span>

namespace softsnp::guest {

std::span<const unsigned char> sample_image();

}  // namespace softsnp::guest

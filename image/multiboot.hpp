// Recognising Multiboot 1 images.
#pragma once

#include <optional>
#include <span>

#include "base/types.hpp"

namespace softsnp::image {

// File offset of the header: magic, flags and checksum agree, 4-byte aligned, whole within the
// first 8 KiB. Multiboot Specification 3.1.
std::optional<u64> find_multiboot_header(std::span<const u8> bytes);

}  // namespace softsnp::image

// The table that extended guest requests return. Firmware sheet 4.5 (GHCB 56421).
#pragma once

#include "platform/platform.hpp"

namespace softsnp::platform {

// Linux's limit for the buffer that receives it.
inline constexpr usize certificate_table_limit = 0x4000;

// For reports signed by that leaf at that TCB: leaf, its signer, ARK. Not padded to pages.
std::vector<u8> certificate_table(const Platform& platform, Leaf leaf,
                                  const psp::TcbComponents& tcb);

}  // namespace softsnp::platform

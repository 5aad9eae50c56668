// Reading and writing host descriptors without losing bytes or blocking by surprise.
#pragma once

#include <chrono>
#include <span>

#include "base/types.hpp"

namespace softsnp::vmm {

// Writes all; false if the other side is gone.
bool write_all(int descriptor, std::span<const u8> bytes);

enum class ReadStatus : u8 { nothing, data, end };
struct ReadResult {
  ReadStatus status = ReadStatus::nothing;
  usize count = 0;
};
// Reads what is there, waiting at most that long for it.
ReadResult read_some(int descriptor, std::span<u8> to, std::chrono::milliseconds wait);

}  // namespace softsnp::vmm

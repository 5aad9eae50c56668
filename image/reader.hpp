// Bounds-checked reading of a hostile file.
#pragma once

#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "base/types.hpp"

namespace softsnp::image {

constexpr bool contains(std::span<const u8> bytes, u64 offset, u64 length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

template <class T>
std::optional<T> read(std::span<const u8> bytes, u64 offset) {
  if (!contains(bytes, offset, sizeof(T))) {
    return std::nullopt;
  }
  return load_le<T>(bytes.data() + offset);
}

}  // namespace softsnp::image

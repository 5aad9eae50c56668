// Input bytes taken from the front; zeros when they are used up.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "base/types.hpp"

namespace softsnp::fuzz {

class Bytes {
 public:
  explicit Bytes(std::span<const u8> data) : left_(data) {}
  bool empty() const { return left_.empty(); }
  usize size() const { return left_.size(); }
  template <class T>
  T take() {
    T value{};
    const usize count = std::min(sizeof value, left_.size());
    std::memcpy(&value, left_.data(), count);
    left_ = left_.subspan(count);
    return value;
  }
  std::span<const u8> take_bytes(usize count) {
    const auto first = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(first.size());
    return first;
  }

 private:
  std::span<const u8> left_;
};

}  // namespace softsnp::fuzz

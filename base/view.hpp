// A stretch of somebody else's objects. std::span's little brother: its header does not compile
// without floating point, which guest code must not touch. Freestanding.
#pragma once

#include <concepts>

#include "base/types.hpp"

namespace softsnp {

template <class T>
class View {
 public:
  constexpr View() = default;
  constexpr View(T* first, usize count) : first_(first), count_(count) {}
  template <usize N>
  constexpr View(T (&array)[N]) : first_(array), count_(N) {}  // NOLINT(*-explicit-*)
  // View<u8> is a View<const u8>; what std::span and std::vector hold fits too.
  template <class C>
  requires requires(const C& c) {
    { c.data() + c.size() } -> std::convertible_to<T*>;
  }
  constexpr View(const C& other) : first_(other.data()), count_(other.size()) {}  // NOLINT

  constexpr T* data() const { return first_; }
  constexpr usize size() const { return count_; }
  constexpr bool empty() const { return count_ == 0; }
  constexpr T* begin() const { return first_; }
  constexpr T* end() const { return first_ + count_; }
  constexpr T& operator[](usize i) const { return first_[i]; }
  // Requires from + count <= size().
  constexpr View part(usize from, usize count) const { return {first_ + from, count}; }
  constexpr View from(usize at) const { return {first_ + at, count_ - at}; }

 private:
  T* first_ = nullptr;
  usize count_ = 0;
};

using ByteView = View<const u8>;

}  // namespace softsnp

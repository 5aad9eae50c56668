// A sum of small trivially copyable types for freestanding code: std::variant needs a hosted
// library. visit() takes one callable per alternative; a forgotten one does not compile.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "base/types.hpp"

namespace softsnp::ghcb {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

template <class... Ts>
class Sum {
  static_assert((std::is_trivially_copyable_v<Ts> && ...));
  static constexpr usize largest() {
    usize most = 1;
    ((most = sizeof(Ts) > most ? sizeof(Ts) : most), ...);
    return most;
  }
  template <class T>
  static constexpr u8 index_of() {
    constexpr bool same[] = {std::is_same_v<T, Ts>...};
    for (usize i = 0; i < sizeof...(Ts); ++i) {
      if (same[i]) {
        return static_cast<u8>(i);
      }
    }
    return sizeof...(Ts);
  }

 public:
  template <class T, class = std::enable_if_t<(std::is_same_v<std::decay_t<T>, Ts> || ...)>>
  Sum(const T& value) : index_(index_of<T>()) {  // NOLINT(*-explicit-*)
    new (bytes_) T(value);
  }

  template <class T>
  bool is() const {
    return index_ == index_of<T>();
  }
  // Null if another alternative is held.
  template <class T>
  const T* get() const {
    return is<T>() ? std::launder(reinterpret_cast<const T*>(bytes_)) : nullptr;
  }

  template <class... Fs>
  auto visit(Fs... functions) const {
    return visit_in<Overloaded<Fs...>, Ts...>(Overloaded<Fs...>{functions...});
  }

 private:
  template <class F, class T, class... Rest>
  auto visit_in(const F& f) const {
    if constexpr (sizeof...(Rest) == 0) {
      return f(*std::launder(reinterpret_cast<const T*>(bytes_)));
    } else {
      if (is<T>()) {
        return f(*std::launder(reinterpret_cast<const T*>(bytes_)));
      }
      return visit_in<F, Rest...>(f);
    }
  }

  alignas(8) unsigned char bytes_[largest()];
  u8 index_;
};

}  // namespace softsnp::ghcb

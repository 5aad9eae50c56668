// A value or an error that carries an architectural code. Freestanding; no exceptions.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

namespace softsnp {

// Wraps an error so that Result<T, E> can be built where T and E are alike.
template <class E>
struct Failure {
  E error;
};
template <class E>
Failure(E) -> Failure<E>;

// Callers test ok() (or the bool conversion) before value() or error(); reading the wrong one is
// a broken invariant and stops the program.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value) : ok_(true) { new (&value_) T(std::move(value)); }  // NOLINT(*-explicit-*)
  Result(Failure<E> failure) : ok_(false) {                           // NOLINT(*-explicit-*)
    new (&error_) E(std::move(failure.error));
  }
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_) {
      new (&value_) T(other.value_);
    } else {
      new (&error_) E(other.error_);
    }
  }
  Result(Result&& other) noexcept : ok_(other.ok_) {
    if (ok_) {
      new (&value_) T(std::move(other.value_));
    } else {
      new (&error_) E(std::move(other.error_));
    }
  }
  Result& operator=(const Result&) = delete;
  Result& operator=(Result&&) = delete;
  ~Result() {
    if (ok_) {
      value_.~T();
    } else {
      error_.~E();
    }
  }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  T& value() {
    check(ok_);
    return value_;
  }
  const T& value() const {
    check(ok_);
    return value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const E& error() const {
    check(!ok_);
    return error_;
  }

 private:
  static void check(bool condition) {
    if (!condition) {
      __builtin_trap();
    }
  }
  bool ok_;
  union {
    T value_;
    E error_;
  };
};

// Success without a value, or an error.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(Failure<E> failure) : ok_(false), error_(std::move(failure.error)) {}  // NOLINT
  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const E& error() const {
    if (ok_) {
      __builtin_trap();
    }
    return error_;
  }

 private:
  bool ok_ = true;
  E error_{};
};

}  // namespace softsnp

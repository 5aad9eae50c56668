// Addition, subtraction, logic on values and flags. APM volume 3, chapter 3.
#pragma once

#include <type_traits>

#include "machine/cpu/exec/flags.hpp"

namespace softsnp::cpu::alu {

template <class T>
inline constexpr unsigned bits_of = sizeof(T) * 8;

template <class T>
constexpr u64 sign_extend(T value) {
  return static_cast<u64>(static_cast<i64>(static_cast<std::make_signed_t<T>>(value)));
}
template <class T>
constexpr bool top_bit(T value) {
  return (value >> (bits_of<T> - 1)) != 0;
}

template <class T>
constexpr T add_carry(T a, T b, u64 carry, LazyFlags& flags) {
  const u64 x = a;
  const u64 y = b;
  const u64 sum = x + y + carry;
  flags.result = sign_extend(static_cast<T>(sum));
  flags.carries = pack_carries<bits_of<T>>((x & y) | ((x | y) & ~sum));
  return static_cast<T>(sum);
}
template <class T>
constexpr T subtract_borrow(T a, T b, u64 borrow, LazyFlags& flags) {
  const u64 x = a;
  const u64 y = b;
  const u64 difference = x - y - borrow;
  flags.result = sign_extend(static_cast<T>(difference));
  flags.carries = pack_carries<bits_of<T>>((~x & y) | ((~x | y) & difference));
  return static_cast<T>(difference);
}
template <class T>
constexpr T logic_result(T value, LazyFlags& flags) {
  flags.result = sign_extend(value);
  flags.carries = 0;
  return value;
}
// The flags of INC and DEC keep CF.
constexpr void keep_carry(u64 old_carries, LazyFlags& flags) {
  const u64 flip = (flags.carries ^ old_carries) & (u64{1} << 63);
  flags.carries ^= flip | flip >> 1;
}

// Operations with two operands; writes: the result goes to the first.
struct Add {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return add_carry(a, b, 0, flags);
  }
};
struct Adc {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return add_carry(a, b, flags.carries >> 63, flags);
  }
};
struct Sub {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return subtract_borrow(a, b, 0, flags);
  }
};
struct Sbb {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return subtract_borrow(a, b, flags.carries >> 63, flags);
  }
};
struct Cmp {
  static constexpr bool writes = false;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return subtract_borrow(a, b, 0, flags);
  }
};
struct And {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return logic_result(static_cast<T>(a & b), flags);
  }
};
struct Or {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return logic_result(static_cast<T>(a | b), flags);
  }
};
struct Xor {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return logic_result(static_cast<T>(a ^ b), flags);
  }
};
struct Test {
  static constexpr bool writes = false;
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return logic_result(static_cast<T>(a & b), flags);
  }
};

// Operations with one operand.
struct Inc {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    const u64 old = flags.carries;
    const T result = add_carry(a, T{1}, 0, flags);
    keep_carry(old, flags);
    return result;
  }
};
struct Dec {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    const u64 old = flags.carries;
    const T result = subtract_borrow(a, T{1}, 0, flags);
    keep_carry(old, flags);
    return result;
  }
};
struct Neg {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    return subtract_borrow(T{0}, a, 0, flags);
  }
};
struct Not {
  template <class T>
  static constexpr T apply(T a, LazyFlags&) {
    return static_cast<T>(~a);
  }
};

// ADCX, ADOX: one carry chain each, no other flag.
struct Adcx {
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    T result{};
    const bool first = __builtin_add_overflow(a, b, &result);
    const bool second = __builtin_add_overflow(result, static_cast<T>(flags.cf()), &result);
    flags.set_cf(first || second);
    return result;
  }
};
struct Adox {
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    T result{};
    const bool first = __builtin_add_overflow(a, b, &result);
    const bool second = __builtin_add_overflow(result, static_cast<T>(flags.of()), &result);
    flags.set_of(first || second);
    return result;
  }
};

}  // namespace softsnp::cpu::alu

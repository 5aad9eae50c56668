// Shifts and rotates on values and flags. APM volume 3. Where a flag is undefined the value is what
// AMD processors show.
#pragma once

#include "machine/cpu/exec/alu.hpp"

namespace softsnp::cpu::alu {

template <class T>
constexpr unsigned count_mask(u8 count) {
  return count & (sizeof(T) == 8 ? 63 : 31);
}

// Sets ZF, SF, PF from result, AF = 0, CF and OF as given.
template <class T>
constexpr T shift_result(T result, bool cf, bool of, LazyFlags& flags) {
  flags.result = sign_extend(result);
  flags.carries = u64{cf} << 63 | u64{cf != of} << 62;
  return result;
}
// Rotates leave the other flags alone.
template <class T>
constexpr T rotate_result(T result, bool cf, bool of, LazyFlags& flags) {
  flags.carries = (flags.carries & ~LazyFlags::top) | u64{cf} << 63 | u64{cf != of} << 62;
  return result;
}

struct Shl {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    const u64 before = u64{a} << (count - 1);
    const T result = static_cast<T>(before << 1);
    const bool cf = top_bit(static_cast<T>(before));
    return shift_result(result, cf, cf != top_bit(result), flags);
  }
};
struct Shr {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    const u64 before = u64{a} >> (count - 1);
    const T result = static_cast<T>(before >> 1);
    return shift_result(result, (before & 1) != 0, count == 1 && top_bit(a), flags);
  }
};
struct Sar {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    const i64 before = static_cast<i64>(sign_extend(a)) >> (count - 1);
    return shift_result(static_cast<T>(before >> 1), (before & 1) != 0, false, flags);
  }
};

struct Rol {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    const unsigned by = count % bits_of<T>;
    const T result = by == 0 ? a : static_cast<T>(a << by | a >> (bits_of<T> - by));
    const bool cf = (result & 1) != 0;
    return rotate_result(result, cf, cf != top_bit(result), flags);
  }
};
struct Ror {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    const unsigned by = count % bits_of<T>;
    const T result = by == 0 ? a : static_cast<T>(a >> by | a << (bits_of<T> - by));
    const bool cf = top_bit(result);
    return rotate_result(result, cf, cf != top_bit(static_cast<T>(result << 1)), flags);
  }
};
struct Rcl {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    constexpr unsigned bits = bits_of<T>;
    const unsigned count = count_mask<T>(amount) % (bits + 1);
    if (count == 0) {
      return a;
    }
    const T carry = static_cast<T>(flags.cf());
    const bool cf = ((a >> (bits - count)) & 1) != 0;
    const T low = static_cast<T>(count == 1 ? 0 : a >> (bits + 1 - count));
    const T high = static_cast<T>(count == bits ? 0 : a << count);
    const T result = static_cast<T>(high | static_cast<T>(carry << (count - 1)) | low);
    return rotate_result(result, cf, cf != top_bit(result), flags);
  }
};
struct Rcr {
  template <class T>
  static constexpr T apply(T a, u8 amount, LazyFlags& flags) {
    constexpr unsigned bits = bits_of<T>;
    const unsigned count = count_mask<T>(amount) % (bits + 1);
    if (count == 0) {
      return a;
    }
    const T carry = static_cast<T>(flags.cf());
    const bool cf = ((a >> (count - 1)) & 1) != 0;
    const T low = static_cast<T>(count == bits ? 0 : a >> count);
    const T high = static_cast<T>(count == 1 ? 0 : a << (bits + 1 - count));
    const T result = static_cast<T>(high | static_cast<T>(carry << (bits - count)) | low);
    const bool of = top_bit(result) != top_bit(static_cast<T>(result << 1));
    return rotate_result(result, cf, of, flags);
  }
};

// SHLD, SHRD: bits of b come in. For 16 bits the count may exceed the size; the value is then
// undefined: AMD processors shift a:b:b (SHLD) or b:b:a (SHRD).
struct Shld {
  template <class T>
  static constexpr T apply(T a, T b, u8 amount, LazyFlags& flags) {
    constexpr unsigned bits = bits_of<T>;
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    T result{};
    bool cf = false;
    if constexpr (sizeof(T) == 2) {
      const u64 joined = u64{a} << 32 | u64{b} << 16 | b;
      result = static_cast<T>((joined << count) >> 32);
      cf = (((joined << (count - 1)) >> 47) & 1) != 0;
    } else {
      result = static_cast<T>(a << count | b >> (bits - count));
      cf = top_bit(static_cast<T>(a << (count - 1)));
    }
    return shift_result(result, cf, cf != top_bit(result), flags);
  }
};
struct Shrd {
  template <class T>
  static constexpr T apply(T a, T b, u8 amount, LazyFlags& flags) {
    constexpr unsigned bits = bits_of<T>;
    const unsigned count = count_mask<T>(amount);
    if (count == 0) {
      return a;
    }
    T result{};
    bool cf = false;
    if constexpr (sizeof(T) == 2) {
      const u64 joined = u64{b} << 32 | u64{b} << 16 | a;
      result = static_cast<T>(joined >> count);
      cf = ((joined >> (count - 1)) & 1) != 0;
    } else {
      result = static_cast<T>(a >> count | b << (bits - count));
      cf = ((a >> (count - 1)) & 1) != 0;
    }
    const bool of = top_bit(result) != top_bit(static_cast<T>(result << 1));
    return shift_result(result, cf, of, flags);
  }
};

}  // namespace softsnp::cpu::alu

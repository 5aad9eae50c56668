// Bit tests, scans, BMI1/2, CRC on values and flags. APM volume 3.
#pragma once

#include <array>

#include "machine/cpu/exec/alu.hpp"

namespace softsnp::cpu::alu {

// BT and its writing forms: index already reduced to the operand; only CF changes.
struct Bt {
  static constexpr bool writes = false;
  template <class T>
  static constexpr T change(T a, T) {
    return a;
  }
};
struct Bts {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T change(T a, T mask) {
    return static_cast<T>(a | mask);
  }
};
struct Btr {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T change(T a, T mask) {
    return static_cast<T>(a & static_cast<T>(~mask));
  }
};
struct Btc {
  static constexpr bool writes = true;
  template <class T>
  static constexpr T change(T a, T mask) {
    return static_cast<T>(a ^ mask);
  }
};
template <class F, class T>
constexpr T bit_test(T a, u64 index, LazyFlags& flags) {
  const unsigned n = static_cast<unsigned>(index) % bits_of<T>;
  flags.set_cf(((a >> n) & 1) != 0);
  return F::change(a, static_cast<T>(T{1} << n));
}

template <class T>
constexpr unsigned trailing_zeros(T a) {
  return a == 0 ? bits_of<T> : static_cast<unsigned>(__builtin_ctzll(a));
}
template <class T>
constexpr unsigned leading_zeros(T a) {
  return a == 0 ? bits_of<T> : static_cast<unsigned>(__builtin_clzll(a)) - (64 - bits_of<T>);
}

// ZF and CF as given, the others clear.
constexpr void set_zf_cf(bool zf, bool cf, LazyFlags& flags) {
  flags.result = zf ? 0 : 1;
  flags.carries = cf ? LazyFlags::top : 0;
}

// Source to destination; keeps_destination(a): the destination does not change.
struct Bsf {
  template <class T>
  static constexpr bool keeps_destination(T a) {
    return a == 0;
  }
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    set_zf_cf(a == 0, false, flags);
    return static_cast<T>(trailing_zeros(a));
  }
};
struct Bsr {
  template <class T>
  static constexpr bool keeps_destination(T a) {
    return a == 0;
  }
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    set_zf_cf(a == 0, false, flags);
    return static_cast<T>(bits_of<T> - 1 - leading_zeros(a));
  }
};
struct Always {
  template <class T>
  static constexpr bool keeps_destination(T) {
    return false;
  }
};
struct Tzcnt : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    const T count = static_cast<T>(trailing_zeros(a));
    set_zf_cf(count == 0, a == 0, flags);
    return count;
  }
};
struct Lzcnt : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    const T count = static_cast<T>(leading_zeros(a));
    set_zf_cf(count == 0, a == 0, flags);
    return count;
  }
};
struct Popcnt : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    flags.result = a == 0 ? 0 : 1;
    // PF = 0 also with ZF.
    flags.carries = a == 0 ? u64{1} << 8 : 0;
    return static_cast<T>(__builtin_popcountll(a));
  }
};

// BMI1, BMI2: SF and ZF of the result, OF = 0, CF as each says.
template <class T>
constexpr T bmi_result(T result, bool cf, LazyFlags& flags) {
  flags.result = sign_extend(result);
  flags.carries = cf ? LazyFlags::top : 0;
  return result;
}
struct Blsr : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    return bmi_result(static_cast<T>(a & (a - 1)), a == 0, flags);
  }
};
struct Blsi : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    return bmi_result(static_cast<T>(a & (0 - a)), a != 0, flags);
  }
};
struct Blsmsk : Always {
  template <class T>
  static constexpr T apply(T a, LazyFlags& flags) {
    return bmi_result(static_cast<T>(a ^ (a - 1)), a == 0, flags);
  }
};
// Two sources: a is the first, b the second in operand order.
struct Andn {
  template <class T>
  static constexpr T apply(T a, T b, LazyFlags& flags) {
    return bmi_result(static_cast<T>(~a & b), false, flags);
  }
};
struct Bextr {
  template <class T>
  static constexpr T apply(T a, T control, LazyFlags& flags) {
    const unsigned start = control & 0xFF;
    const unsigned length = (control >> 8) & 0xFF;
    const T shifted = start >= bits_of<T> ? T{0} : static_cast<T>(a >> start);
    const T result =
        length >= bits_of<T> ? shifted : static_cast<T>(shifted & ((T{1} << length) - T{1}));
    return bmi_result(result, false, flags);
  }
};
struct Bzhi {
  template <class T>
  static constexpr T apply(T a, T index, LazyFlags& flags) {
    const unsigned n = index & 0xFF;
    const bool whole = n >= bits_of<T>;
    const T result = whole ? a : static_cast<T>(a & ((T{1} << n) - T{1}));
    return bmi_result(result, whole, flags);
  }
};
struct Pdep {
  template <class T>
  static constexpr T apply(T a, T mask, LazyFlags&) {
    T result = 0;
    for (T bit = 1; mask != 0; mask = static_cast<T>(mask & (mask - 1)), bit = bit << 1) {
      result |= (a & bit) != 0 ? mask & (0 - mask) : 0;
    }
    return result;
  }
};
struct Pext {
  template <class T>
  static constexpr T apply(T a, T mask, LazyFlags&) {
    T result = 0;
    for (T bit = 1; mask != 0; mask = static_cast<T>(mask & (mask - 1)), bit = bit << 1) {
      result |= (a & (mask & (0 - mask))) != 0 ? bit : 0;
    }
    return result;
  }
};
struct Shlx {
  template <class T>
  static constexpr T apply(T a, T count, LazyFlags&) {
    return a << (count & (bits_of<T> - 1));
  }
};
struct Shrx {
  template <class T>
  static constexpr T apply(T a, T count, LazyFlags&) {
    return a >> (count & (bits_of<T> - 1));
  }
};
struct Sarx {
  template <class T>
  static constexpr T apply(T a, T count, LazyFlags&) {
    return static_cast<T>(static_cast<std::make_signed_t<T>>(a) >> (count & (bits_of<T> - 1)));
  }
};

template <class T>
constexpr T byte_swap(T a) {
  if constexpr (sizeof(T) == 2) {
    return __builtin_bswap16(a);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bswap32(a);
  } else {
    return __builtin_bswap64(a);
  }
}

// CRC-32C, reflected polynomial 82F63B78h (APM3, CRC32).
inline constexpr auto crc32c_table = [] {
  std::array<u32, 256> table{};
  for (u32 i = 0; i < 256; ++i) {
    u32 value = i;
    for (int k = 0; k < 8; ++k) {
      value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0);
    }
    table[i] = value;
  }
  return table;
}();
template <class T>
constexpr u32 crc32c(u32 crc, T data) {
  for (unsigned i = 0; i < sizeof(T); ++i) {
    crc = crc32c_table[(crc ^ static_cast<u32>(data >> (8 * i))) & 0xFF] ^ (crc >> 8);
  }
  return crc;
}

}  // namespace softsnp::cpu::alu

// Compiled by hand (bench/CMakeLists.txt): general registers only, no calls out of the section, no
// tables in data, no sanitizer whatever the preset.
#include "bench/machine/cpu/loops.hpp"

#define LOOP extern "C" __attribute__((section("softsnp_loops"), noinline, used))
#define PART static __attribute__((section("softsnp_loops"), noinline, used))
// The compiler may not look through this: keeps a branch a branch.
#define OPAQUE(x) asm volatile("" : "+r"(x))

namespace softsnp::bench {
namespace {

constexpr u64 multiplier = 6364136223846793005u;

u64* quads(u8* memory) {
  return reinterpret_cast<u64*>(memory);
}
inline __attribute__((always_inline)) u64 random(u64& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace

LOOP u64 softsnp_loop_integer_mix(u8*, u64 count) {
  u64 a = 1;
  u64 b = 2;
  u32 c = 3;
  u64 d = count;
  for (u64 i = 0; i < count; ++i) {
    a = a * multiplier + i;
    b = (b ^ (a >> 7)) + 17;
    c += static_cast<u32>(b) & 0xFFFF;
    d = (d - c) ^ (d >> 3);
    OPAQUE(d);
  }
  return a ^ b ^ c ^ d;
}

LOOP u64 softsnp_loop_integer_chain(u8*, u64 count) {
  u64 state = 88172645463325252u;
  for (u64 i = 0; i < count; ++i) {
    random(state);
  }
  return state;
}

LOOP u64 softsnp_loop_carry_chain(u8*, u64 count) {
  u64 a = 0x123456789ABCDEF0;
  u64 b = ~a;
  u64 c = a << 5;
  u64 d = b >> 3;
  asm volatile(
      "1: add %[b], %[a]\n adc %[c], %[b]\n adc %[d], %[c]\n adc $0, %[d]\n"
      "sub %[d], %[a]\n sbb %[c], %[b]\n sbb %[b], %[c]\n sbb $0, %[d]\n"
      "rol $7, %[a]\n rcl $1, %[b]\n"
      "dec %[n]\n jnz 1b"
      : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [n] "+r"(count)
      :
      : "cc");
  return a ^ b ^ c ^ d;
}

LOOP u64 softsnp_loop_partial_registers(u8*, u64 count) {
  u64 a = 0x1234567;
  u64 b = 0x89ABCDE;
  asm volatile(
      "1: movzbl %b[a], %%ecx\n add %b[b], %b[a]\n setc %%dl\n movsbl %b[b], %%r8d\n"
      "cmp %%r8w, %w[a]\n cmovbe %%rcx, %[b]\n xor %%ecx, %k[a]\n bswap %k[b]\n"
      "lea 5(%[b], %[a], 2), %[b]\n test $0x40, %b[a]\n setnz %%ch\n add %%rcx, %[a]\n"
      "dec %[n]\n jnz 1b"
      : [a] "+r"(a), [b] "+r"(b), [n] "+r"(count)
      :
      : "cc", "rcx", "rdx", "r8");
  return a ^ b;
}

LOOP u64 softsnp_loop_random_branches(u8*, u64 count) {
  u64 state = 88172645463325252u;
  u64 sum = 0;
  for (u64 i = 0; i < count; ++i) {
    const u64 r = random(state);
    if ((r & 1) != 0) {
      sum += r;
      OPAQUE(sum);
    }
    if ((r & 0x10) != 0) {
      sum ^= i;
      OPAQUE(sum);
    } else if ((r & 0x60) == 0x20) {
      sum -= r;
      OPAQUE(sum);
    }
    if ((r >> 8 & 0xFF) < 77) {
      sum = ~sum;
      OPAQUE(sum);
    }
  }
  return sum;
}

PART u64 fibonacci(u64 n) {
  u64 result = n;
  if (n >= 2) {
    result = fibonacci(n - 1);
    OPAQUE(result);
    result += fibonacci(n - 2);
  }
  return result;
}
LOOP u64 softsnp_loop_calls(u8*, u64 count) {
  return fibonacci(count);
}

PART u64 step_add(u64 a) {
  return a + 3;
}
PART u64 step_xor(u64 a) {
  return a ^ 0x55;
}
PART u64 step_shift(u64 a) {
  return a ^ (a >> 9);
}
PART u64 step_multiply(u64 a) {
  return a * multiplier;
}
LOOP u64 softsnp_loop_indirect(u8* memory, u64 count) {
  using Step = u64 (*)(u64);
  auto* table = reinterpret_cast<Step volatile*>(memory);
  const Step add = step_add;
  table[0] = add;
  table[1] = step_xor;
  table[2] = step_shift;
  table[3] = step_multiply;
  u64 state = 88172645463325252u;
  u64 value = 1;
  for (u64 i = 0; i < count; ++i) {
    value = table[random(state) & 3](value);
  }
  return value;
}

// memory holds byte offsets of the next step.
LOOP u64 softsnp_loop_chase(u8* memory, u64 count) {
  u64 at = 0;
  for (u64 i = 0; i < count; ++i) {
    at = *reinterpret_cast<u64*>(memory + at);
    OPAQUE(at);
  }
  return at;
}

LOOP u64 softsnp_loop_sum(u8* memory, u64 count) {
  const u64* from = quads(memory);
  u64 sum = 0;
  for (u64 i = 0; i < count; ++i) {
    sum += from[i];
    OPAQUE(sum);
  }
  return sum;
}

LOOP u64 softsnp_loop_copy(u8* memory, u64 count) {
  const u64 half = count / 2;
  const u64* from = quads(memory);
  u64* to = quads(memory) + half;
  u64 value = 0;
  for (u64 i = 0; i < half; ++i) {
    value = from[i];
    OPAQUE(value);
    to[i] = value;
  }
  return value;
}

// Read-modify-write of 4-byte counters at random places of 64 KiB.
LOOP u64 softsnp_loop_scatter(u8* memory, u64 count) {
  auto* counters = reinterpret_cast<u32*>(memory);
  u64 state = 88172645463325252u;
  for (u64 i = 0; i < count; ++i) {
    ++counters[random(state) & 0x3FFF];
  }
  return counters[0];
}

LOOP u64 softsnp_loop_touch_pages(u8* memory, u64 count) {
  u64 sum = 0;
  for (u64 i = 0; i < count; ++i) {
    sum += *reinterpret_cast<u64*>(memory + i * page_size);
    OPAQUE(sum);
  }
  return sum;
}

LOOP u64 softsnp_loop_rep_movsb(u8* memory, u64 count) {
  u8* to = memory + count;
  const u8* from = memory;
  u64 left = count;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
  return memory[2 * count - 1];
}

LOOP u64 softsnp_loop_rep_stosq(u8* memory, u64 count) {
  u8* to = memory;
  u64 left = count / 8;
  asm volatile("rep stosq" : "+D"(to), "+c"(left) : "a"(u64{0}) : "memory");
  return memory[count - 1];
}

// Equal halves.
LOOP u64 softsnp_loop_repe_cmpsb(u8* memory, u64 count) {
  const u8* a = memory;
  const u8* b = memory + count;
  u64 left = count;
  asm volatile("repe cmpsb" : "+D"(a), "+S"(b), "+c"(left) : : "memory", "cc");
  return left;
}

LOOP u64 softsnp_loop_byte_copy(u8* memory, u64 count) {
  u8* to = memory + count;
  u64 value = 0;
  for (u64 i = 0; i < count; ++i) {
    value = memory[i];
    OPAQUE(value);
    to[i] = static_cast<u8>(value);
  }
  return value;
}

// The length of a string whose 0 lies behind count bytes.
LOOP u64 softsnp_loop_byte_length(u8* memory, u64 count) {
  memory[count] = 0;
  const u8* at = memory;
  while (*at != 0) {
    ++at;
    OPAQUE(at);
  }
  memory[count] = 1;
  return static_cast<u64>(at - memory);
}

PART void quick_sort(u32* first, u32* last) {
  while (last - first > 1) {
    const u32 pivot = first[(last - first) / 2];
    u32* low = first;
    u32* high = last - 1;
    while (low <= high) {
      while (*low < pivot) {
        ++low;
      }
      while (*high > pivot) {
        --high;
      }
      if (low <= high) {
        const u32 saved = *low;
        *low++ = *high;
        *high-- = saved;
      }
    }
    quick_sort(first, high + 1);
    first = low;
  }
}
LOOP u64 softsnp_loop_sort(u8* memory, u64 count) {
  auto* values = reinterpret_cast<u32*>(memory);
  u64 state = 88172645463325252u;
  for (u64 i = 0; i < count; ++i) {
    values[i] = static_cast<u32>(random(state));
  }
  quick_sort(values, values + count);
  return values[count / 2];
}

// Open addressing, 4096 slots of 16 bytes; keys repeat, so that most are found.
LOOP u64 softsnp_loop_hash_table(u8* memory, u64 count) {
  struct Slot {
    u64 key;
    u64 uses;
  };
  auto* slots = reinterpret_cast<Slot*>(memory);
  u64 state = 88172645463325252u;
  u64 found = 0;
  for (u64 i = 0; i < count; ++i) {
    const u64 key = 1 + random(state) % 2048;
    u64 at = key * multiplier >> 52;
    while (slots[at].key != 0 && slots[at].key != key) {
      at = (at + 1) & 4095;
    }
    found += slots[at].key == key ? 1 : 0;
    slots[at].key = key;
    ++slots[at].uses;
  }
  return found;
}

// A decompressor's inner loop: literals and matches, byte by byte, from random control words.
LOOP u64 softsnp_loop_unpack(u8* memory, u64 count) {
  u64 state = 88172645463325252u;
  u64 at = 64;
  u64 sum = 0;
  while (at < count) {
    const u64 word = random(state);
    if ((word & 3) == 0) {
      memory[at++] = static_cast<u8>(word >> 8);
      continue;
    }
    const u64 distance = 1 + (word >> 16 & 63);
    u64 length = 3 + (word >> 24 & 15);
    while (length-- != 0) {
      const u8 byte = memory[at - distance];
      memory[at++] = byte;
      sum += byte;
    }
  }
  return sum;
}

}  // namespace softsnp::bench

// APM volume 3, 1.2.6 (repeat prefixes) and the string instructions.
#include "machine/cpu/exec/string_ops.hpp"

#include <algorithm>
#include <cstring>

#include "machine/cpu/exec/alu.hpp"

namespace softsnp::cpu {
namespace {

constexpr unsigned es = static_cast<unsigned>(x86::Segment::es);

u64 address_mask(const Op* op) {
  return op->address_bits == 64 ? ~u64{0} : (u64{1} << op->address_bits) - 1;
}
bool backward(const Core& core) {
  return (core.state.system_flags & x86::rflags::df) != 0;
}
Repeat repeat_of(const Op* op) {
  return static_cast<Repeat>(op->extra);
}

// Index and count registers are as wide as addresses.
void add_to(Core& core, const Op* op, u8 number, u64 delta) {
  u64& reg = core.state.gpr[number];
  if (op->address_bits == 64) {
    reg += delta;
  } else if (op->address_bits == 32) {
    reg = static_cast<u32>(reg + delta);
  } else {
    set_reg<u16>(core, number, static_cast<u16>(reg + delta));
  }
}

// A run of elements in one page, all within the segment; count 0: the first crosses a page.
struct Run {
  u64 linear = 0;  // of the first element
  u64 low = 0;     // of the lowest byte
  u64 count = 0;
};

template <class T>
u64 elements_in_page(u64 linear, bool down) {
  const u64 offset = linear & page_offset_mask;
  if (!down) {
    return (page_size - offset) / sizeof(T);
  }
  return offset + sizeof(T) > page_size ? 0 : offset / sizeof(T) + 1;
}

template <class T>
Run find_run(const Core& core, const Op* op, unsigned segment, u8 number, u64 wanted) {
  const bool down = backward(core);
  const u64 mask = address_mask(op);
  const u64 offset = core.state.gpr[number] & mask;
  Run run;
  run.linear = offset + core.seg_base[segment];
  if (!in_code64(core)) {
    run.linear = static_cast<u32>(run.linear);
  }
  const u64 before_wrap = down ? offset / sizeof(T) : (mask - offset) / sizeof(T);
  run.count = std::min(wanted, elements_in_page<T>(run.linear, down));
  if (run.count > before_wrap) {
    run.count = before_wrap;  // the last element before the wrap goes alone
  }
  return run;
}

template <class T>
void set_count(Run& run, u64 count, bool down) {
  run.count = count;
  run.low = down && count != 0 ? run.linear - (count - 1) * sizeof(T) : run.linear;
}

// Legacy modes: all elements of the run lie within the segment; else it is cut to one element, and
// false means that not even that one does.
template <class T>
bool check_run(Core& core, const Op* op, unsigned segment, u8 number, Run& run, Access access) {
  if (in_code64(core)) {
    return true;
  }
  const u64 offset = core.state.gpr[number] & address_mask(op);
  const u64 first = offset - (run.linear - run.low);
  const u32 size = static_cast<u32>(std::max<u64>(run.count, 1) * sizeof(T));
  if (check_segment(core, segment, first, size, access)) {
    return true;
  }
  set_count<T>(run, 0, false);
  return check_segment(core, segment, offset, sizeof(T), access);
}

// Host pointer to the lowest byte of the run; null: core.fault is set, with the address of the
// first element in processing order.
template <class T>
u8* run_pointer(Core& core, const Run& run, Access access) {
  if (run.low != run.linear && direct(core, run.linear, sizeof(T), access) == nullptr) {
    return nullptr;
  }
  return direct(core, run.low, static_cast<u32>(run.count * sizeof(T)), access);
}

const Op* fault_here(Core& core, const Op* op) {
  return stop_at(core, op, Stop::fault);
}

u64 repeat_count(const Core& core, const Op* op) {
  return repeat_of(op) == Repeat::none ? 1 : core.state.gpr[gpr::rcx] & address_mask(op);
}

// n elements are done; more says whether the instruction goes on if RCX is not 0.
const Op* done(Core& core, const Op* op, u64 n, bool more) {
  if (repeat_of(op) == Repeat::none) {
    return next(core, op);
  }
  add_to(core, op, gpr::rcx, 0 - n);
  if (!more || repeat_count(core, op) == 0) {
    return next(core, op);
  }
  if (--core.budget < 0) {
    return stop_at(core, op, Stop::budget);
  }
  if constexpr (threaded) {
    return op->fn(core, op);
  } else {
    return op;
  }
}

template <class T>
void advance(Core& core, const Op* op, u8 number, u64 n) {
  add_to(core, op, number, backward(core) ? 0 - n * sizeof(T) : n * sizeof(T));
}

// As if element by element, in processing order.
template <class T>
void copy(u8* to, const u8* from, u64 count, bool down) {
  const u64 bytes = count * sizeof(T);
  const bool apart = to + bytes <= from || from + bytes <= to;
  if (apart || (down ? to > from : to < from)) {
    std::memmove(to, from, bytes);
    return;
  }
  for (u64 i = 0; i < count; ++i) {
    const u64 at = (down ? count - 1 - i : i) * sizeof(T);
    store_le<T>(to + at, load_le<T>(from + at));
  }
}

template <class T>
void fill(u8* to, T value, u64 count) {
  const u8 low = static_cast<u8>(value);
  T same{};
  std::memset(&same, low, sizeof same);
  if (value == same) {
    std::memset(to, low, count * sizeof(T));
    return;
  }
  for (u64 i = 0; i < count; ++i) {
    store_le<T>(to + i * sizeof(T), value);
  }
}

template <class T>
constexpr u64 page_elements = page_size / sizeof(T);

}  // namespace

template <class T>
const Op* op_movs(Core& core, const Op* op) {
  const u64 wanted = std::min(repeat_count(core, op), page_elements<T>);
  if (wanted == 0) {
    return next(core, op);
  }
  const bool down = backward(core);
  Run from = find_run<T>(core, op, op->seg, gpr::rsi, wanted);
  Run to = find_run<T>(core, op, es, gpr::rdi, wanted);
  u64 count = std::min(from.count, to.count);
  set_count<T>(from, count, down);
  set_count<T>(to, count, down);
  if (!check_run<T>(core, op, op->seg, gpr::rsi, from, Access::read)) {
    return fault_here(core, op);
  }
  const bool destination_ok = check_run<T>(core, op, es, gpr::rdi, to, Access::write);
  count = std::min(from.count, to.count);
  set_count<T>(from, count, down);
  set_count<T>(to, count, down);
  if (count != 0 && destination_ok && core.memory->keeps_pointers()) {
    const u8* source = run_pointer<T>(core, from, Access::read);
    if (source == nullptr) {
      return fault_at(core, op);
    }
    u8* destination = run_pointer<T>(core, to, Access::write);
    if (destination == nullptr) {
      return fault_here(core, op);
    }
    // The second translation may have changed the form of the frame behind the first.
    if (run_pointer<T>(core, from, Access::read) == source) {
      copy<T>(destination, source, count, down);
      advance<T>(core, op, gpr::rsi, count);
      advance<T>(core, op, gpr::rdi, count);
      return done(core, op, count, true);
    }
  }
  T value;
  if (!load<T>(core, from.linear, value)) {
    return fault_at(core, op);
  }
  if (!destination_ok) {
    check_segment(core, es, core.state.gpr[gpr::rdi] & address_mask(op), sizeof(T), Access::write);
    return fault_here(core, op);
  }
  if (!store<T>(core, to.linear, value)) {
    return fault_here(core, op);
  }
  advance<T>(core, op, gpr::rsi, 1);
  advance<T>(core, op, gpr::rdi, 1);
  return done(core, op, 1, true);
}

template <class T>
const Op* op_stos(Core& core, const Op* op) {
  const u64 wanted = std::min(repeat_count(core, op), page_elements<T>);
  if (wanted == 0) {
    return next(core, op);
  }
  Run to = find_run<T>(core, op, es, gpr::rdi, wanted);
  set_count<T>(to, to.count, backward(core));
  if (!check_run<T>(core, op, es, gpr::rdi, to, Access::write)) {
    return fault_here(core, op);
  }
  const T value = accumulator<T>(core);
  if (to.count == 0) {
    if (!store<T>(core, to.linear, value)) {
      return fault_here(core, op);
    }
    to.count = 1;
  } else {
    u8* destination = run_pointer<T>(core, to, Access::write);
    if (destination == nullptr) {
      return fault_here(core, op);
    }
    fill<T>(destination, value, to.count);
  }
  advance<T>(core, op, gpr::rdi, to.count);
  return done(core, op, to.count, true);
}

template <class T>
const Op* op_lods(Core& core, const Op* op) {
  const u64 wanted = std::min<u64>(repeat_count(core, op), 1);
  if (wanted == 0) {
    return next(core, op);
  }
  Run from = find_run<T>(core, op, op->seg, gpr::rsi, wanted);
  set_count<T>(from, from.count, backward(core));
  T value;
  if (!check_run<T>(core, op, op->seg, gpr::rsi, from, Access::read)) {
    return fault_here(core, op);
  }
  if (!load<T>(core, from.linear, value)) {
    return fault_at(core, op);
  }
  set_accumulator<T>(core, value);
  advance<T>(core, op, gpr::rsi, 1);
  return done(core, op, 1, true);
}

namespace {

// Elements of b compared with those of a (step 0: one value), in processing order, until the repeat
// condition fails or count are done. Flags of the last comparison; returns how many were done.
template <class T>
u64 compare_run(Core& core, const Op* op, const u8* a, u64 step, const u8* b, u64 count) {
  const bool down = backward(core);
  const bool while_equal = repeat_of(op) == Repeat::while_equal;
  const u64 start = down ? (count - 1) * sizeof(T) : 0;
  const i64 move = down ? -i64{sizeof(T)} : i64{sizeof(T)};
  const u8* x = a + (step == 0 ? 0 : start);
  const u8* y = b + start;
  u64 done_count = 0;
  for (;;) {
    const T left = load_le<T>(x);
    const T right = load_le<T>(y);
    if (++done_count == count || (left == right) != while_equal) {
      alu::Cmp::apply(left, right, core.state.flags);
      return done_count;
    }
    x += step == 0 ? 0 : move;
    y += move;
  }
}

bool goes_on(const Core& core, const Op* op) {
  return core.state.flags.zf() == (repeat_of(op) == Repeat::while_equal);
}

}  // namespace

template <class T>
const Op* op_cmps(Core& core, const Op* op) {
  const u64 wanted = std::min(repeat_count(core, op), page_elements<T>);
  if (wanted == 0) {
    return next(core, op);
  }
  const bool down = backward(core);
  Run a = find_run<T>(core, op, op->seg, gpr::rsi, wanted);
  Run b = find_run<T>(core, op, es, gpr::rdi, wanted);
  u64 count = std::min(a.count, b.count);
  set_count<T>(a, count, down);
  set_count<T>(b, count, down);
  if (!check_run<T>(core, op, op->seg, gpr::rsi, a, Access::read) ||
      !check_run<T>(core, op, es, gpr::rdi, b, Access::read)) {
    return fault_here(core, op);
  }
  count = std::min(a.count, b.count);
  set_count<T>(a, count, down);
  set_count<T>(b, count, down);
  if (count != 0) {
    const u8* left = run_pointer<T>(core, a, Access::read);
    if (left == nullptr) {
      return fault_at(core, op);
    }
    const u8* right = run_pointer<T>(core, b, Access::read);
    if (right == nullptr) {
      return fault_here(core, op);
    }
    if (run_pointer<T>(core, a, Access::read) == left) {
      count = compare_run<T>(core, op, left, sizeof(T), right, count);
      advance<T>(core, op, gpr::rsi, count);
      advance<T>(core, op, gpr::rdi, count);
      return done(core, op, count, goes_on(core, op));
    }
  }
  T left;
  T right;
  if (!load<T>(core, a.linear, left)) {
    return fault_at(core, op);
  }
  if (!load<T>(core, b.linear, right)) {
    return fault_here(core, op);
  }
  alu::Cmp::apply(left, right, core.state.flags);
  advance<T>(core, op, gpr::rsi, 1);
  advance<T>(core, op, gpr::rdi, 1);
  return done(core, op, 1, goes_on(core, op));
}

template <class T>
const Op* op_scas(Core& core, const Op* op) {
  const u64 wanted = std::min(repeat_count(core, op), page_elements<T>);
  if (wanted == 0) {
    return next(core, op);
  }
  Run b = find_run<T>(core, op, es, gpr::rdi, wanted);
  set_count<T>(b, b.count, backward(core));
  if (!check_run<T>(core, op, es, gpr::rdi, b, Access::read)) {
    return fault_here(core, op);
  }
  const T value = accumulator<T>(core);
  u64 count = b.count;
  if (count == 0) {
    T right;
    if (!load<T>(core, b.linear, right)) {
      return fault_here(core, op);
    }
    alu::Cmp::apply(value, right, core.state.flags);
    count = 1;
  } else {
    const u8* right = run_pointer<T>(core, b, Access::read);
    if (right == nullptr) {
      return fault_here(core, op);
    }
    u8 left[sizeof(T)];
    store_le<T>(left, value);
    count = compare_run<T>(core, op, left, 0, right, count);
  }
  advance<T>(core, op, gpr::rdi, count);
  return done(core, op, count, goes_on(core, op));
}

#define SOFTSNP_STRING_SIZE(T)                     \
  template const Op* op_movs<T>(Core&, const Op*); \
  template const Op* op_stos<T>(Core&, const Op*); \
  template const Op* op_lods<T>(Core&, const Op*); \
  template const Op* op_cmps<T>(Core&, const Op*); \
  template const Op* op_scas<T>(Core&, const Op*);
SOFTSNP_STRING_SIZE(u8)
SOFTSNP_STRING_SIZE(u16)
SOFTSNP_STRING_SIZE(u32)
SOFTSNP_STRING_SIZE(u64)
#undef SOFTSNP_STRING_SIZE

}  // namespace softsnp::cpu

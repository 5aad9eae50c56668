#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {

void write_gpr(System& system, u8 gpr, u64 value, unsigned bits) {
  u64& to = system.state().gpr[gpr];
  if (bits == 16) {
    to = (to & ~u64{0xFFFF}) | (value & 0xFFFF);
  } else if (bits == 8) {
    to = (to & ~u64{0xFF}) | (value & 0xFF);
  } else {
    to = bits == 64 ? value : static_cast<u32>(value);
  }
}

bool load_sized(System& system, u64 linear, unsigned bytes, u64& out) {
  u64 value = 0;
  if (!load_bytes(system.core(), linear, &value, bytes)) {
    return false;
  }
  out = value;
  return true;
}

bool store_sized(System& system, u64 linear, unsigned bytes, u64 value) {
  return store_bytes(system.core(), linear, &value, bytes);
}

bool read_word(System& system, const Instruction& in, u8 gpr, u16& out) {
  if (!memory_operand(in)) {
    out = static_cast<u16>(system.state().gpr[gpr]);
    return true;
  }
  return load<u16>(system.core(), linear_operand(system, in, 2), out);
}

namespace {

constexpr unsigned ss = static_cast<unsigned>(x86::Segment::ss);

// Legacy modes: limit and type of the current stack segment.
bool stack_allows(System& system, const StackView& stack, u64 sp, unsigned bytes, Access access) {
  return !stack.checked || check_segment(system.core(), ss, sp & stack.mask, bytes, access);
}

}  // namespace

StackView current_stack(System& system) {
  const CoreState& state = system.state();
  StackView view;
  view.sp = state.gpr[static_cast<unsigned>(x86::Gpr::rsp)];
  if (!state.code64()) {
    view.checked = true;
    view.base = state.seg[ss].base;
    view.mask = (state.seg[ss].attributes & svm::attribute::default_big) != 0 ? 0xFFFFFFFF : 0xFFFF;
  }
  return view;
}

bool push(System& system, StackView& stack, unsigned bits, u64 value) {
  const u64 sp = (stack.sp & ~stack.mask) | ((stack.sp - bits / 8) & stack.mask);
  const u64 linear = linear_of(system.state(), stack.base, sp & stack.mask);
  if (!stack_allows(system, stack, sp, bits / 8, Access::write) ||
      !store_sized(system, linear, bits / 8, value)) {
    return false;
  }
  stack.sp = sp;
  return true;
}

bool pop(System& system, StackView& stack, unsigned bits, u64& out) {
  const u64 linear = linear_of(system.state(), stack.base, stack.sp & stack.mask);
  if (!stack_allows(system, stack, stack.sp, bits / 8, Access::read) ||
      !load_sized(system, linear, bits / 8, out)) {
    return false;
  }
  stack.sp = (stack.sp & ~stack.mask) | ((stack.sp + bits / 8) & stack.mask);
  return true;
}

void commit(System& system, const StackView& stack) {
  reg(system, x86::Gpr::rsp) = stack.mask == 0xFFFFFFFF ? static_cast<u32>(stack.sp) : stack.sp;
}

}  // namespace softsnp::cpu

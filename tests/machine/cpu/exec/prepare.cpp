#include "tests/machine/cpu/exec/prepare.hpp"

#include <cstring>

#include "base/bytes.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr unsigned rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;

const ZydisDecodedOperand* memory_operand(const Encoding& e) {
  for (unsigned i = 0; i < e.instruction.operand_count_visible; ++i) {
    if (e.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        e.operands[i].mem.type == ZYDIS_MEMOP_TYPE_MEM) {
      return &e.operands[i];
    }
  }
  return nullptr;
}

// Number of a 16-, 32- or 64-bit register operand, or of the register that an 8-bit one lies in.
int register_of(const ZydisDecodedOperand& operand) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) {
    return -1;
  }
  const ZydisRegister full =
      ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value);
  return ZydisRegisterGetClass(full) == ZYDIS_REGCLASS_GPR64 ? ZydisRegisterGetId(full) : -1;
}
int number(ZydisRegister reg) {
  return ZydisRegisterGetId(reg);
}

bool is_bit_test(ZydisMnemonic m) {
  return m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR ||
         m == ZYDIS_MNEMONIC_BTC;
}
bool has_register_index(const Encoding& e) {
  return is_bit_test(e.instruction.mnemonic) && e.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
         e.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

u64 window_address(Random& random) {
  return place::window + (random.chance(4) ? 256 - random.below(20) : 150 + random.below(200));
}

// Sets the base register so that the operand lies at target.
void aim(const ZydisDecodedOperand& operand, u64 target, u8 address_bits, MachineState& state,
         Random& random) {
  const auto& m = operand.mem;
  if (m.base == ZYDIS_REGISTER_NONE || m.base == ZYDIS_REGISTER_RIP) {
    return;
  }
  u64 base = target - static_cast<u64>(m.disp.value);
  if (m.segment == ZYDIS_REGISTER_GS) {
    base -= place::gs_base;
  }
  if (m.index != ZYDIS_REGISTER_NONE) {
    base -= state.gpr[number(m.index)] * m.scale;
  }
  if (address_bits == 32) {
    base = static_cast<u32>(base) | random.next() << 32;
  }
  state.gpr[number(m.base)] = base;
}

void prepare_stack(const Encoding& e, MachineState& state, Random& random) {
  switch (e.instruction.meta.category) {
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
      state.gpr[rsp] = place::window + 256 + random.below(64) - 32;
      break;
    default:
      break;
  }
  if (e.instruction.mnemonic == ZYDIS_MNEMONIC_LEAVE ||
      e.instruction.mnemonic == ZYDIS_MNEMONIC_ENTER) {
    state.gpr[rsp] = place::window + 256 + random.below(64) - 32;
    state.gpr[rbp] = place::window + 256 + random.below(64) - 32;
  }
  if (e.instruction.meta.category == ZYDIS_CATEGORY_RET) {
    store_le<u64>(reinterpret_cast<u8*>(state.gpr[rsp]),
                  random.chance(8) ? u64{1} << 60 : place::pad);
  }
  if (e.instruction.mnemonic == ZYDIS_MNEMONIC_POPF ||
      e.instruction.mnemonic == ZYDIS_MNEMONIC_POPFQ) {
    // No trap, no alignment checks of the host, nothing for the kernel to trip over.
    constexpr u64 harmless = x86::rflags::status | x86::rflags::df | x86::rflags::id |
                             x86::rflags::if_ | x86::rflags::iopl;
    store_le<u64>(reinterpret_cast<u8*>(state.gpr[rsp]), random.next() & harmless);
  }
}

void prepare_string(const Encoding& e, MachineState& state, Random& random) {
  if (e.instruction.meta.category != ZYDIS_CATEGORY_STRINGOP) {
    return;
  }
  const bool address32 = e.instruction.address_width == 32;
  const u64 garbage = address32 ? random.next() << 32 : 0;
  const bool gs = (e.instruction.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0;
  state.gpr[rsi] = (window_address(random) - (gs ? place::gs_base : 0)) | garbage;
  state.gpr[rdi] = window_address(random) | garbage;
  state.gpr[rcx] = random.below(14) | garbage;
  if (random.chance(2)) {
    state.rflags |= x86::rflags::df;
  }
  // Runs of equal elements, so that CMPS and SCAS go on for a while.
  if (random.chance(2)) {
    std::memset(window_pointer() + 60, static_cast<int>(random.below(2)), 400);
    state.gpr[rax] = random.chance(2) ? 0 : 0x0101010101010101;
  }
}

void prepare_branch(const Encoding& e, const ZydisDecodedOperand* memory, u64 address,
                    MachineState& state, Random& random) {
  const auto category = e.instruction.meta.category;
  const bool branch = category == ZYDIS_CATEGORY_CALL || category == ZYDIS_CATEGORY_UNCOND_BR;
  if (!branch || e.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    if (category == ZYDIS_CATEGORY_COND_BR && random.chance(2)) {
      state.gpr[rcx] = random.below(3);
      state.gpr[rcx] |= random.chance(2) ? 0 : random.next() << 32;
    }
    return;
  }
  const u64 target = random.chance(8) ? u64{0x8000} << 32 : place::pad;
  if (memory == nullptr) {
    state.gpr[register_of(e.operands[0])] = target;
  } else {
    store_le<u64>(reinterpret_cast<u8*>(address), target);
  }
}

void prepare_division(const Encoding& e, MachineState& state, Random& random) {
  const ZydisMnemonic m = e.instruction.mnemonic;
  if ((m != ZYDIS_MNEMONIC_DIV && m != ZYDIS_MNEMONIC_IDIV) || random.chance(3)) {
    return;
  }
  const bool negative = m == ZYDIS_MNEMONIC_IDIV && (state.gpr[rax] >> 63) != 0;
  if (e.operands[0].size == 8) {
    state.gpr[rax] = random.below(0x300);
  } else {
    state.gpr[rdx] = negative ? ~u64{0} : random.below(2);
  }
}

// Half of the comparisons succeed.
void prepare_compare_exchange(const Encoding& e, u64 target, MachineState& state, Random& random) {
  const ZydisMnemonic m = e.instruction.mnemonic;
  if (random.chance(2)) {
    return;
  }
  if (m == ZYDIS_MNEMONIC_CMPXCHG && e.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const int destination = register_of(e.operands[0]);
    state.gpr[rax] = state.gpr[destination];
  } else if (m == ZYDIS_MNEMONIC_CMPXCHG) {
    std::memcpy(reinterpret_cast<void*>(target), &state.gpr[rax], e.operands[0].size / 8);
  } else if (m == ZYDIS_MNEMONIC_CMPXCHG8B || m == ZYDIS_MNEMONIC_CMPXCHG16B) {
    const usize half = m == ZYDIS_MNEMONIC_CMPXCHG8B ? 4 : 8;
    std::memcpy(reinterpret_cast<void*>(target), &state.gpr[rax], half);
    std::memcpy(reinterpret_cast<void*>(target + half), &state.gpr[rdx], half);
  }
}

}  // namespace

bool preparable(const Encoding& e) {
  if (e.instruction.mnemonic == ZYDIS_MNEMONIC_CALL && register_of(e.operands[0]) == rsp) {
    return false;  // the target is the stack
  }
  const ZydisDecodedOperand* memory = memory_operand(e);
  if (memory == nullptr) {
    return true;
  }
  const auto& m = memory->mem;
  if (m.index != ZYDIS_REGISTER_NONE && m.index == m.base) {
    return false;
  }
  if (has_register_index(e)) {
    const int index = register_of(e.operands[1]);
    const auto is = [&](ZydisRegister reg) {
      return reg != ZYDIS_REGISTER_NONE && number(reg) == index;
    };
    return !is(m.base) && !is(m.index);
  }
  return true;
}

void prepare_state(const Encoding& e, MachineState& state, Random& random) {
  for (u64& reg : state.gpr) {
    reg = random.value();
  }
  state.rflags = (random.next() & x86::rflags::status) | x86::rflags::fixed1 | x86::rflags::if_;
  for (u64 at = 0; at < place::window_size; at += 8) {
    store_le<u64>(window_pointer() + at, random.chance(4) ? random.value() : random.next());
  }
  prepare_stack(e, state, random);
  prepare_string(e, state, random);
  prepare_division(e, state, random);
  const ZydisDecodedOperand* memory = memory_operand(e);
  if (has_register_index(e)) {
    u64& index = state.gpr[register_of(e.operands[1])];
    const u64 small = random.below(2048) - 1024;
    index = e.operands[1].size == 64   ? small
            : e.operands[1].size == 32 ? (index & ~u64{0xFFFFFFFF}) | static_cast<u32>(small)
                                       : (index & ~u64{0xFFFF}) | static_cast<u16>(small);
  }
  u64 target = window_address(random);
  if (e.instruction.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B && !random.chance(8)) {
    target &= ~u64{15};
  }
  if (memory != nullptr) {
    if (memory->mem.base == ZYDIS_REGISTER_NONE) {
      target = static_cast<u64>(memory->mem.disp.value);
    }
    aim(*memory, target, e.instruction.address_width, state, random);
    prepare_compare_exchange(e, target, state, random);
  } else if (e.instruction.mnemonic == ZYDIS_MNEMONIC_XLAT) {
    state.gpr[rbx] = target - (state.gpr[rax] & 0xFF);
  } else {
    prepare_compare_exchange(e, target, state, random);
  }
  prepare_branch(e, memory, target, state, random);
}

}  // namespace softsnp::cpu::test

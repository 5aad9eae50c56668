#include "tests/machine/cpu/exec/differential.hpp"

#include <cstdio>
#include <cstring>

#include "tests/machine/cpu/exec/prepare.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr u64 compared_flags = x86::rflags::status | x86::rflags::df | x86::rflags::id;

std::string hex(const char* what, u64 before, u64 native, u64 ours) {
  char line[160];
  std::snprintf(line, sizeof line, "\n    %s: before %016llx host %016llx softsnp %016llx", what,
                static_cast<unsigned long long>(before), static_cast<unsigned long long>(native),
                static_cast<unsigned long long>(ours));
  return line;
}

}  // namespace

Differential::Differential() {
  // What user code sees in its segment registers.
  auto& segments = exec_.core().state.seg;
  asm("mov %%es, %0" : "=r"(segments[0].selector));
  asm("mov %%cs, %0" : "=r"(segments[1].selector));
  asm("mov %%ss, %0" : "=r"(segments[2].selector));
  asm("mov %%ds, %0" : "=r"(segments[3].selector));
  asm("mov %%fs, %0" : "=r"(segments[4].selector));
  asm("mov %%gs, %0" : "=r"(segments[5].selector));
}

std::string Differential::compare(const Encoding& encoding, const MachineState& before,
                                  const MachineState& native, const MachineState& ours,
                                  const u8* memory) {
  constexpr const char* names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  std::string text;
  for (unsigned i = 0; i < 16; ++i) {
    if (native.gpr[i] != ours.gpr[i]) {
      text += hex(names[i], before.gpr[i], native.gpr[i], ours.gpr[i]);
    }
  }
  const u64 mask =
      native.vector >= 0 ? compared_flags : compared_flags & ~undefined_flags(encoding, before);
  if (((native.rflags ^ ours.rflags) & mask) != 0) {
    text += hex("rflags", before.rflags & compared_flags, native.rflags & compared_flags,
                ours.rflags & compared_flags);
  }
  if (native.rip != ours.rip || native.vector != ours.vector) {
    text += hex("rip", place::instruction, native.rip, ours.rip);
    text += hex("vector", 0, static_cast<u64>(native.vector), static_cast<u64>(ours.vector));
  }
  for (u64 i = 0; i < place::window_size; ++i) {
    if (memory[i] != window_pointer()[i]) {
      text += hex("memory at window offset", i, memory[i], window_pointer()[i]);
      break;
    }
  }
  if (!text.empty()) {
    for (unsigned i = 0; i < 16; ++i) {
      text += hex(names[i], before.gpr[i], native.gpr[i], ours.gpr[i]);
    }
  }
  return text;
}

std::string Differential::run(const Encoding& encoding, unsigned states, Random& random) {
  exec_.load(encoding.bytes);
  host().load(encoding.bytes);
  u8 before_memory[place::window_size];
  u8 native_memory[place::window_size];
  for (unsigned n = 0; n < states; ++n) {
    if (n % 64 == 0) {
      exec_.memory().use_tlb(exec_.core(), (n / 64) % 2 == 0);
    }
    MachineState before;
    prepare_state(encoding, before, random);
    std::memcpy(before_memory, window_pointer(), sizeof before_memory);
    MachineState native = before;
    host().run(native, WithFx::no);
    std::memcpy(native_memory, window_pointer(), sizeof native_memory);
    std::memcpy(window_pointer(), before_memory, sizeof before_memory);
    MachineState ours = before;
    exec_.run(ours);
    ++states_;
    faults_ += native.vector >= 0 ? 1 : 0;
    const std::string text = compare(encoding, before, native, ours, native_memory);
    if (!text.empty()) {
      return encoding.text() + text;
    }
  }
  return {};
}

u64 undefined_flags(const Encoding& encoding, const MachineState& before) {
  using namespace x86;
  const ZydisMnemonic m = encoding.instruction.mnemonic;
  u64 undefined = encoding.instruction.cpu_flags->undefined;
  const auto count_of = [&](unsigned operand) {
    const ZydisDecodedOperand& count = encoding.operands[operand];
    const u64 raw = count.type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? count.imm.value.u : before.gpr[1];
    return raw & (encoding.operands[0].size == 64 ? 63 : 31);
  };
  switch (m) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR: {
      const u64 count = count_of(1);
      const bool past = count > encoding.operands[0].size;
      return count == 0 ? 0
                        : (count == 1 ? 0 : rflags::of) | rflags::af |
                              (past && m != ZYDIS_MNEMONIC_SAR ? rflags::cf : 0);
    }
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
      return count_of(1) <= 1 ? 0 : rflags::of;
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: {
      const u64 count = count_of(2);
      return count == 0                          ? 0
             : count > encoding.operands[0].size ? rflags::status
             : count == 1                        ? rflags::af
                                                 : rflags::of | rflags::af;
    }
    default:
      return undefined;
  }
}

bool host_supports(const ZydisDecodedInstruction& instruction) {
  switch (instruction.meta.isa_ext) {
    case ZYDIS_ISA_EXT_BMI1:
      return __builtin_cpu_supports("bmi") != 0;
    case ZYDIS_ISA_EXT_BMI2:
      return __builtin_cpu_supports("bmi2") != 0;
    case ZYDIS_ISA_EXT_SSE4:
      return __builtin_cpu_supports("sse4.2") != 0;
    case ZYDIS_ISA_EXT_LZCNT:
      return __builtin_cpu_supports("popcnt") != 0;
    default:
      return true;
  }
}

}  // namespace softsnp::cpu::test

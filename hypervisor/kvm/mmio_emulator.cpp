#include "hypervisor/kvm/mmio_emulator.hpp"

#include <algorithm>

#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/mmio_instruction.hpp"

namespace softsnp::kvm {
namespace {

constexpr usize max_instruction_bytes = 15;

template <class T>
MmioEmulator::Outcome widen(const T& stop) {
  return std::visit([](const auto& s) { return MmioEmulator::Outcome(s); }, stop);
}

u64 truncate(u64 value, unsigned size) {
  return size == 8 ? value : value & mask_bits(size * 8 - 1, 0);
}

u64 sign_extend(u64 value, unsigned from_size) {
  const unsigned shift = 64 - from_size * 8;
  return static_cast<u64>(static_cast<i64>(value << shift) >> shift);
}

}  // namespace

bool MmioEmulator::is_64bit() const {
  return (vmcb_.efer & x86::efer::lma) != 0 && (vmcb_.cs.attributes & svm::attribute::long_mode);
}

// Decode assist gives the bytes; without them they are read where the guest's fetch read them.
Result<std::vector<u8>, TranslationFault> MmioEmulator::fetch() const {
  const usize given = std::min<usize>(vmcb_.instruction_byte_count & 0xF, max_instruction_bytes);
  if (given != 0) {
    return std::vector<u8>(vmcb_.instruction_bytes.at, vmcb_.instruction_bytes.at + given);
  }
  std::vector<u8> bytes;
  const u64 rip = is_64bit() ? vmcb_.rip : vmcb_.cs.base + vmcb_.rip;
  while (bytes.size() < max_instruction_bytes) {
    const GuestVirtual at(rip + bytes.size());
    const auto gpa = translation_.translate(at, AccessKind::fetch);
    if (!gpa) {
      if (bytes.empty()) {
        return Failure{gpa.error()};
      }
      break;
    }
    const usize part =
        std::min<u64>(max_instruction_bytes - bytes.size(), page_size - gpa->page_offset());
    std::vector<u8> piece(part);
    if (!memory_.read_shared(*gpa, piece)) {
      break;
    }
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

MmioEmulator::Outcome MmioEmulator::start() {
  answers_.clear();
  return run();
}

MmioEmulator::Outcome MmioEmulator::run() {
  answers_used_ = 0;
  if (memory_.is_encrypted() && vmcb_.instruction_byte_count == 0) {
    return Unsupported{"MMIO of an encrypted guest without the instruction's bytes"};
  }
  const auto bytes = fetch();
  if (!bytes) {
    return bytes.error();
  }

  Instruction instruction;
  const bool is_32bit = (vmcb_.cs.attributes & svm::attribute::default_big) != 0;
  if (!instruction.decode(*bytes, is_64bit() ? 64 : is_32bit ? 32 : 16)) {
    return Unsupported{"an instruction that touched MMIO does not decode"};
  }
  return execute(instruction);
}

MmioEmulator::Outcome MmioEmulator::execute(const Instruction& i) {
  if (i.is_string()) {
    return execute_string(i);
  }
  switch (i.decoded.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      return execute_move(i);
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_XCHG:
      return execute_arithmetic(i);
    default:
      return Unsupported{std::string("MMIO by ") + ZydisMnemonicGetString(i.decoded.mnemonic) +
                         " is not emulated"};
  }
}

MmioEmulator::Outcome MmioEmulator::execute_move(const Instruction& i) {
  const auto value = read_operand(i, 1);
  if (!value) {
    return widen(value.error());
  }
  const bool is_signed =
      i.decoded.mnemonic == ZYDIS_MNEMONIC_MOVSX || i.decoded.mnemonic == ZYDIS_MNEMONIC_MOVSXD;
  const u64 extended = is_signed ? sign_extend(*value, i.operand_bytes(1)) : *value;
  const auto written = write_operand(i, 0, truncate(extended, i.operand_bytes(0)));
  if (!written && !std::holds_alternative<Ask>(written.error())) {
    return widen(written.error());
  }
  finish(i);
  return written ? Outcome(Done{}) : widen(written.error());
}

// One repetition of MOVS or STOS (APM3); RIP stays while RCX is not used up.
MmioEmulator::Outcome MmioEmulator::execute_string(const Instruction& i) {
  const u64 mask = mask_bits(i.decoded.address_width - 1u, 0);
  const unsigned size = i.operand_bytes(0);
  u64& rcx = gpr(1);
  if (i.is_repeated() && (rcx & mask) == 0) {
    finish(i);
    return Done{};
  }
  const bool is_movs = i.is_movs();
  u64& rsi = gpr(6);
  u64& rdi = gpr(7);
  u64 value = truncate(gpr(0), size);
  if (is_movs) {
    const u64 base = segment_base(i.operands[1].mem.segment);
    const auto loaded = load(GuestVirtual(base + (rsi & mask)), size);
    if (!loaded) {
      return widen(loaded.error());
    }
    value = *loaded;
  }
  const u64 es = is_64bit() ? 0 : vmcb_.es.base;
  const auto stored = store(GuestVirtual(es + (rdi & mask)), size, value);
  if (!stored && !std::holds_alternative<Ask>(stored.error())) {
    return widen(stored.error());
  }
  const u64 step = (vmcb_.rflags & x86::rflags::df) != 0 ? u64{0} - size : size;
  const auto advance = [mask](u64& reg, u64 by) {
    // A 32-bit address size clears the upper half like any 32-bit write.
    const u64 next = (reg + by) & mask;
    reg = mask == 0xFFFF ? (reg & ~mask) | next : next;
  };
  advance(rdi, step);
  if (is_movs) {
    advance(rsi, step);
  }
  if (i.is_repeated()) {
    advance(rcx, ~u64{0});
  }
  if (!i.is_repeated() || (rcx & mask) == 0) {
    finish(i);
  }
  return stored ? Outcome(Done{}) : widen(stored.error());
}

MmioEmulator::Outcome MmioEmulator::execute_arithmetic(const Instruction& i) {
  const auto left = read_operand(i, 0);
  if (!left) {
    return widen(left.error());
  }
  const auto right = read_operand(i, 1);
  if (!right) {
    return widen(right.error());
  }
  const ArithmeticResult r =
      compute(i.decoded.mnemonic, *left, *right, i.operand_bytes(0), vmcb_.rflags);

  if (i.decoded.mnemonic == ZYDIS_MNEMONIC_XCHG) {
    // One operand is memory: its store may stop, so the register goes last.
    const unsigned memory = i.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1;
    auto stored = write_operand(i, memory, memory == 0 ? *right : *left);
    if (!stored && !std::holds_alternative<Ask>(stored.error())) {
      return widen(stored.error());
    }
    write_register(i.operands[1 - memory].reg.value, memory == 0 ? *left : *right);
    finish(i);
    return stored ? Outcome(Done{}) : widen(stored.error());
  }
  if (r.writes_result) {
    auto stored = write_operand(i, 0, r.value);
    if (!stored && !std::holds_alternative<Ask>(stored.error())) {
      return widen(stored.error());
    }
    vmcb_.rflags = r.rflags;
    finish(i);
    return stored ? Outcome(Done{}) : widen(stored.error());
  }
  vmcb_.rflags = r.rflags;
  finish(i);
  return Done{};
}

void MmioEmulator::finish(const Instruction& i) {
  vmcb_.rip += i.decoded.length;
  if (!is_64bit()) {
    vmcb_.rip &= 0xFFFFFFFF;
  }
  vmcb_.interrupt_state &= ~svm::interrupt_state::shadow;
}

}  // namespace softsnp::kvm

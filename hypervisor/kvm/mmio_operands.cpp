// Operands of the instruction under emulation: registers, memory, MMIO.
#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "hypervisor/kvm/mmio_instruction.hpp"

namespace softsnp::kvm {
namespace {
ZydisRegister as_register(int number) {
  return static_cast<ZydisRegister>(number);
}
bool is_high_byte(int number) {
  return number >= ZYDIS_REGISTER_AH && number <= ZYDIS_REGISTER_BH;
}
}  // namespace

u64& MmioEmulator::gpr(unsigned index) {
  switch (static_cast<x86::Gpr>(index)) {
    case x86::Gpr::rax:
      return reinterpret_cast<u64&>(vmcb_.raw[0x5F8]);
    case x86::Gpr::rsp:
      return reinterpret_cast<u64&>(vmcb_.raw[0x5D8]);
    default:
      return core_.gpr[index];
  }
}

u64 MmioEmulator::gpr(unsigned index) const {
  return const_cast<MmioEmulator*>(this)->gpr(index);
}

u64 MmioEmulator::read_register(int number) const {
  const ZydisRegister large =
      ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, as_register(number));
  const u64 whole = gpr(static_cast<unsigned>(ZydisRegisterGetId(large)) & 15);
  const unsigned width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, as_register(number));
  if (is_high_byte(number)) {
    return get_bits(whole, 15, 8);
  }
  return width >= 64 ? whole : whole & mask_bits(width - 1, 0);
}

void MmioEmulator::write_register(int number, u64 value) {
  const ZydisRegister large =
      ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, as_register(number));
  u64& whole = gpr(static_cast<unsigned>(ZydisRegisterGetId(large)) & 15);
  const unsigned width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, as_register(number));
  if (is_high_byte(number)) {
    whole = with_bits(whole, 15, 8, value);
  } else if (width >= 64) {
    whole = value;
  } else if (width == 32) {
    whole = value & 0xFFFFFFFF;
  } else {
    whole = with_bits(whole, width - 1, 0, value);
  }
}

u64 MmioEmulator::segment_base(int number) const {
  switch (as_register(number)) {
    case ZYDIS_REGISTER_FS:
      return vmcb_.fs.base;
    case ZYDIS_REGISTER_GS:
      return vmcb_.gs.base;
    default:
      break;
  }
  if (is_64bit()) {
    return 0;
  }
  switch (as_register(number)) {
    case ZYDIS_REGISTER_ES:
      return vmcb_.es.base;
    case ZYDIS_REGISTER_CS:
      return vmcb_.cs.base;
    case ZYDIS_REGISTER_SS:
      return vmcb_.ss.base;
    default:
      return vmcb_.ds.base;
  }
}

GuestVirtual MmioEmulator::address_of(const Instruction& i, unsigned index) const {
  const ZydisDecodedOperandMem& mem = i.operands[index].mem;
  u64 offset = mem.disp.has_displacement ? static_cast<u64>(mem.disp.value) : 0;
  if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
    offset += vmcb_.rip + i.decoded.length;
  } else if (mem.base != ZYDIS_REGISTER_NONE) {
    offset += read_register(mem.base);
  }
  if (mem.index != ZYDIS_REGISTER_NONE) {
    offset += read_register(mem.index) * mem.scale;
  }
  if (i.decoded.address_width < 64) {
    offset &= mask_bits(i.decoded.address_width - 1u, 0);
  }
  return GuestVirtual(segment_base(mem.segment) + offset);
}

// An encrypted guest's page tables are noise here. Its one operand that faulted has the gPA that
// the nested fault named (KVM's gpa_available); a second one cannot be found.
Result<GuestPhysical, MmioEmulator::Stop> MmioEmulator::locate(GuestVirtual at,
                                                               AccessKind kind) const {
  if (memory_.is_encrypted()) {
    const GuestPhysical faulted(vmcb_.exitinfo2);
    if (faulted.page_offset() != at.page_offset()) {
      return Failure<Stop>{Unsupported{"an operand beside the MMIO of an encrypted guest"}};
    }
    return faulted;
  }
  const auto gpa = translation_.translate(at, kind);
  return gpa ? Result<GuestPhysical, Stop>(*gpa)
             : Result<GuestPhysical, Stop>(Failure<Stop>{gpa.error()});
}

Result<u64, MmioEmulator::Stop> MmioEmulator::load(GuestVirtual at, unsigned size) {
  const auto gpa = locate(at, AccessKind::read);
  if (!gpa) {
    return Failure<Stop>{gpa.error()};
  }
  if (size > 8 || gpa->page_offset() + size > page_size) {
    return Failure<Stop>{Unsupported{"an MMIO access of that size or across pages"}};
  }
  u64 value = 0;
  if (memory_.read_shared(*gpa, {reinterpret_cast<u8*>(&value), size})) {
    return value;
  }
  if (answers_used_ < answers_.size()) {
    return answers_[answers_used_++];
  }
  if (device_.owns(*gpa)) {
    answer(device_.read(*gpa, size));
    return answers_[answers_used_++];
  }
  MmioExit exit;
  exit.address = *gpa;
  exit.length = static_cast<u8>(size);
  return Failure<Stop>{Ask{exit}};
}

Result<void, MmioEmulator::Stop> MmioEmulator::store(GuestVirtual at, unsigned size, u64 value) {
  const auto gpa = locate(at, AccessKind::write);
  if (!gpa) {
    return Failure<Stop>{gpa.error()};
  }
  if (size > 8 || gpa->page_offset() + size > page_size) {
    return Failure<Stop>{Unsupported{"an MMIO access of that size or across pages"}};
  }
  if (memory_.write_shared(*gpa, {reinterpret_cast<const u8*>(&value), size})) {
    return {};
  }
  if (device_.owns(*gpa)) {
    device_.write(*gpa, size, value);
    return {};
  }
  MmioExit exit;
  exit.address = *gpa;
  exit.write = true;
  exit.length = static_cast<u8>(size);
  store_le(exit.data.data(), value);
  return Failure<Stop>{Ask{exit}};
}

Result<u64, MmioEmulator::Stop> MmioEmulator::read_operand(const Instruction& i, unsigned index) {
  const ZydisDecodedOperand& operand = i.operands[index];
  const unsigned size = i.operand_bytes(index);
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      if (ZydisRegisterGetClass(operand.reg.value) > ZYDIS_REGCLASS_GPR64) {
        return Failure<Stop>{Unsupported{"MMIO with a register that is not general"}};
      }
      return read_register(operand.reg.value);
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return operand.imm.value.u;
    case ZYDIS_OPERAND_TYPE_MEMORY:
      return load(address_of(i, index), size);
    default:
      return Failure<Stop>{Unsupported{"MMIO with a strange operand"}};
  }
}

Result<void, MmioEmulator::Stop> MmioEmulator::write_operand(const Instruction& i, unsigned index,
                                                             u64 value) {
  const ZydisDecodedOperand& operand = i.operands[index];
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    const unsigned size = i.operand_bytes(index);
    return store(address_of(i, index), size,
                 size >= 8 ? value : value & mask_bits(size * 8 - 1, 0));
  }
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER ||
      ZydisRegisterGetClass(operand.reg.value) > ZYDIS_REGCLASS_GPR64) {
    return Failure<Stop>{Unsupported{"MMIO into a register that is not general"}};
  }
  write_register(operand.reg.value, value);
  return {};
}

}  // namespace softsnp::kvm

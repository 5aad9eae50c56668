#include "guest/decode/instruction.hpp"

namespace softsnp::decode {
namespace {

using x86::Gpr;
using x86::Segment;

// APM3 1.2: legacy prefixes in any order, the last of a group counts; REX only right before the
// opcode.
struct Prefixes {
  bool operand16 = false, address32 = false, lock = false, f2 = false, f3 = false;
  bool segment_override = false;
  Segment segment = Segment::ds;
  u8 rex = 0;

  bool wide() const { return (rex & 8) != 0; }
  unsigned extend(unsigned field, unsigned rex_bit) const {
    return field | ((rex >> rex_bit & 1u) << 3);
  }
  // Of MOV and its like: 64 bits with REX.W, 16 with 66h.
  u8 operand_bytes() const { return wide() ? 8 : operand16 ? 2 : 4; }
  // 66h, F2h or F3h makes another instruction of the opcode.
  bool any_mandatory() const { return operand16 || f2 || f3; }
};

class Decoder {
 public:
  explicit Decoder(ByteView bytes)
      : bytes_(bytes.part(
            0, bytes.size() < max_instruction_bytes ? bytes.size() : max_instruction_bytes)),
        limited_(bytes.size() >= max_instruction_bytes) {}

  Result<Instruction, DecodeError> run() {
    read_prefixes();
    const u8 opcode = byte();
    const bool known = !p_.lock && (opcode == 0x0F ? two_byte(byte()) : one_byte(opcode));
    if (truncated_) {
      // An instruction of more than 15 bytes is none.
      return Failure{limited_ ? DecodeError::unsupported : DecodeError::truncated};
    }
    if (!known) {
      return Failure{DecodeError::unsupported};
    }
    out_.length = static_cast<u8>(at_);
    out_.segment_override = p_.segment_override;
    out_.segment = p_.segment;
    out_.memory.address32 = p_.address32;
    return out_;
  }

 private:
  struct ModRm {
    unsigned mod, reg, rm;
  };

  u8 byte() {
    if (at_ == bytes_.size()) {
      truncated_ = true;
      return 0;
    }
    return bytes_[at_++];
  }

  // Little-endian, sign-extended.
  u64 number(unsigned size) {
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value |= u64{byte()} << (8 * i);
    }
    const unsigned unused = 64 - 8 * size;
    return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
  }

  bool set_segment(Segment segment) {
    // In 64-bit mode those of ES, CS, SS and DS are ignored; they do not undo FS or GS before them.
    if (segment == Segment::fs || segment == Segment::gs) {
      p_.segment_override = true;
      p_.segment = segment;
    }
    return true;
  }

  bool take_legacy(u8 value) {
    switch (value) {
      case 0x66:
        return p_.operand16 = true;
      case 0x67:
        return p_.address32 = true;
      case 0xF0:
        return p_.lock = true;
      case 0xF2:
        p_.f3 = false;
        return p_.f2 = true;
      case 0xF3:
        p_.f2 = false;
        return p_.f3 = true;
      case 0x26:
        return set_segment(Segment::es);
      case 0x2E:
        return set_segment(Segment::cs);
      case 0x36:
        return set_segment(Segment::ss);
      case 0x3E:
        return set_segment(Segment::ds);
      case 0x64:
        return set_segment(Segment::fs);
      case 0x65:
        return set_segment(Segment::gs);
      default:
        return false;
    }
  }

  void read_prefixes() {
    for (; at_ < bytes_.size(); ++at_) {
      const u8 value = bytes_[at_];
      const bool rex = (value & 0xF0) == 0x40;
      if (!rex && !take_legacy(value)) {
        return;
      }
      p_.rex = rex ? value : 0;  // one that another prefix follows is ignored
    }
  }

  bool simple(Operation operation) {
    out_.operation = operation;
    return true;
  }

  // --- operands ---

  ModRm modrm() {
    const unsigned value = byte();
    return {value >> 6, (value >> 3) & 7, value & 7};
  }

  void sib(unsigned mod) {
    const unsigned value = byte();
    MemoryOperand& memory = out_.memory;
    const unsigned index = p_.extend((value >> 3) & 7, 1);
    memory.has_index = index != 4;
    memory.index = static_cast<Gpr>(index);
    memory.scale = static_cast<u8>(1u << (value >> 6));
    memory.has_base = mod != 0 || (value & 7) != 5;
    memory.base = static_cast<Gpr>(p_.extend(value & 7, 0));
    if (!memory.has_base) {
      memory.displacement = number(4);
    }
  }

  // False if the operand is a register.
  bool memory_operand(const ModRm& m) {
    if (m.mod == 3) {
      return false;
    }
    MemoryOperand& memory = out_.memory;
    if (m.rm == 4) {
      sib(m.mod);
    } else if (m.mod == 0 && m.rm == 5) {
      memory.rip_relative = true;
      memory.displacement = number(4);
    } else {
      memory.has_base = true;
      memory.base = static_cast<Gpr>(p_.extend(m.rm, 0));
    }
    if (m.mod != 0) {
      memory.displacement = number(m.mod == 1 ? 1 : 4);
    }
    return true;
  }

  void set_register(unsigned field, bool of_byte) {
    out_.high_byte = of_byte && p_.rex == 0 && field >= 4;
    out_.reg = static_cast<Gpr>(out_.high_byte ? field - 4 : p_.extend(field, 2));
  }

  // --- one-byte opcodes ---

  bool port_io(u8 opcode) {
    out_.operation = (opcode & 2) == 0 ? Operation::in : Operation::out;
    out_.size = (opcode & 1) == 0 ? 1 : p_.operand16 && !p_.wide() ? 2 : 4;
    out_.port_in_dx = opcode >= 0xEC;
    if (!out_.port_in_dx) {
      out_.port = byte();
    }
    return true;
  }

  bool string_port_io(u8 opcode) {
    out_.operation = opcode < 0x6E ? Operation::ins : Operation::outs;
    out_.size = (opcode & 1) == 0 ? 1 : p_.operand16 && !p_.wide() ? 2 : 4;
    out_.port_in_dx = true;
    out_.rep = p_.f2 || p_.f3;
    return true;
  }

  bool string_move(u8 opcode, Operation operation) {
    out_.operation = operation;
    out_.size = (opcode & 1) == 0 ? 1 : p_.operand_bytes();
    out_.rep = p_.f2 || p_.f3;
    return true;
  }

  bool move(u8 opcode) {
    const ModRm m = modrm();
    const bool of_byte = (opcode & 1) == 0;
    out_.operation = (opcode & 2) == 0 ? Operation::store : Operation::load;
    out_.size = out_.register_size = of_byte ? 1 : p_.operand_bytes();
    set_register(m.reg, of_byte);
    return memory_operand(m);
  }

  bool move_immediate(u8 opcode) {
    const ModRm m = modrm();
    if (!memory_operand(m) || m.reg != 0) {
      return false;
    }
    out_.operation = Operation::store_immediate;
    out_.size = (opcode & 1) == 0 ? 1 : p_.operand_bytes();
    out_.immediate = number(out_.size < 4 ? out_.size : 4);
    return true;
  }

  // A0h to A3h: AL to RAX and an absolute address.
  bool move_absolute(u8 opcode) {
    out_.operation = (opcode & 2) == 0 ? Operation::load : Operation::store;
    out_.size = out_.register_size = (opcode & 1) == 0 ? 1 : p_.operand_bytes();
    out_.memory.displacement = number(p_.address32 ? 4 : 8);
    return true;
  }

  bool extending_load(Extension extension, u8 from, u8 to) {
    const ModRm m = modrm();
    out_.operation = Operation::load;
    out_.size = from;
    out_.register_size = to;
    out_.extension = extension;
    set_register(m.reg, false);
    return memory_operand(m);
  }

  bool one_byte(u8 opcode) {
    if ((opcode >= 0xE4 && opcode <= 0xE7) || (opcode >= 0xEC && opcode <= 0xEF)) {
      return port_io(opcode);
    }
    if (opcode >= 0x6C && opcode <= 0x6F) {
      return string_port_io(opcode);
    }
    if (opcode >= 0x88 && opcode <= 0x8B) {
      return move(opcode);
    }
    if (opcode >= 0xA0 && opcode <= 0xA3) {
      return move_absolute(opcode);
    }
    if (opcode == 0xA4 || opcode == 0xA5) {
      return string_move(opcode, Operation::movs);
    }
    if (opcode == 0xAA || opcode == 0xAB) {
      return string_move(opcode, Operation::stos);
    }
    if (opcode == 0xC6 || opcode == 0xC7) {
      return move_immediate(opcode);
    }
    // MOVSXD; with 16 bits the manuals do not agree on what it reads.
    if (opcode == 0x63 && (p_.wide() || !p_.operand16)) {
      return extending_load(Extension::sign, 4, p_.operand_bytes());
    }
    return false;
  }

  // --- two-byte opcodes ---

  // 0F 01 with a register operand: the whole byte chooses.
  bool group_7() {
    const u8 value = byte();
    if (p_.any_mandatory()) {
      return false;
    }
    switch (value) {
      case 0xC8:  // MONITOR
      case 0xFA:  // MONITORX
        return simple(Operation::monitor);
      case 0xC9:  // MWAIT
      case 0xFB:  // MWAITX
        return simple(Operation::mwait);
      case 0xD9:
        return simple(Operation::vmmcall);
      case 0xF9:
        return simple(Operation::rdtscp);
      default:
        return false;
    }
  }

  // The mod field counts for nothing (APM3, "MOV DRn").
  bool move_debug(Operation operation) {
    const ModRm m = modrm();
    out_.operation = operation;
    out_.debug_register = static_cast<u8>(p_.extend(m.reg, 2));
    out_.reg = static_cast<Gpr>(p_.extend(m.rm, 0));
    out_.size = 8;
    return out_.debug_register < 8;
  }

  bool two_byte(u8 opcode) {
    switch (opcode) {
      case 0x01:
        return group_7();
      case 0x08:
        return simple(Operation::invd);
      case 0x09:  // F3h: WBNOINVD
        return simple(Operation::wbinvd);
      case 0x21:
        return move_debug(Operation::read_dr);
      case 0x23:
        return move_debug(Operation::write_dr);
      case 0x30:
        return simple(Operation::wrmsr);
      case 0x31:
        return simple(Operation::rdtsc);
      case 0x32:
        return simple(Operation::rdmsr);
      case 0x33:
        return simple(Operation::rdpmc);
      case 0xA2:
        return simple(Operation::cpuid);
      case 0xB6:
        return extending_load(Extension::zero, 1, p_.operand_bytes());
      case 0xB7:
        return extending_load(Extension::zero, 2, p_.operand_bytes());
      case 0xBE:
        return extending_load(Extension::sign, 1, p_.operand_bytes());
      case 0xBF:
        return extending_load(Extension::sign, 2, p_.operand_bytes());
      default:
        return false;
    }
  }

  ByteView bytes_;
  bool limited_;
  bool truncated_ = false;
  usize at_ = 0;
  Prefixes p_;
  Instruction out_;
};

}  // namespace

Result<Instruction, DecodeError> decode(ByteView bytes) {
  return Decoder(bytes).run();
}

}  // namespace softsnp::decode

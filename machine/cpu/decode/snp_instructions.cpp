#include "machine/cpu/decode/snp_instructions.hpp"

#include <cstring>

#include "machine/cpu/decode/operands.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "machine/cpu/exec/system_op.hpp"

namespace softsnp::cpu {
namespace {

constexpr u32 longest = 15;

struct Prefixes {
  u32 length = 0;
  u8 repeat = 0;  // F2, F3
  bool lock = false, address_size = false, operand_size = false;
};

Prefixes scan(const u8* bytes, u32 size, bool code64) {
  Prefixes p;
  for (; p.length < size; ++p.length) {
    const u8 byte = bytes[p.length];
    switch (byte) {
      case 0xF2:
      case 0xF3:
        p.repeat = byte;
        break;
      case 0xF0:
        p.lock = true;
        break;
      case 0x66:
        p.operand_size = true;
        break;
      case 0x67:
        p.address_size = true;
        break;
      case 0x26:
      case 0x2E:
      case 0x36:
      case 0x3E:
      case 0x64:
      case 0x65:
        break;
      default:
        if (code64 && (byte & 0xF0) == 0x40) {
          ++p.length;  // REX: the opcode must follow
        }
        return p;
    }
  }
  return p;
}

SystemOp which(u8 repeat, u8 modrm) {
  const bool f3 = repeat == 0xF3;
  switch (modrm) {
    case 0xD9:
      return SystemOp::vmgexit;
    case 0xFD:
      return f3 ? SystemOp::rmpquery : SystemOp::rmpread;
    case 0xFE:
      return f3 ? SystemOp::rmpadjust : SystemOp::rmpupdate;
    case 0xFF:
      return f3 ? SystemOp::psmash : SystemOp::pvalidate;
    default:
      return SystemOp::none;
  }
}

// PVALIDATE and VMGEXIT exist in every mode, the others in 64-bit code only.
bool exists(SystemOp system, bool code64) {
  return code64 || system == SystemOp::pvalidate || system == SystemOp::vmgexit;
}

}  // namespace

bool decode_snp(const u8* bytes, u32 size, bool code64, Op& op, OpInfo& info) {
  if (size < 4 || bytes[0] == 0x0F) {
    return false;
  }
  const Prefixes p = scan(bytes, size < longest ? size : longest, code64);
  if (p.repeat == 0 || p.length + 3 > size || p.length + 3 > longest || bytes[p.length] != 0x0F ||
      bytes[p.length + 1] != 0x01) {
    return false;
  }
  const SystemOp system = which(p.repeat, bytes[p.length + 2]);
  if (system == SystemOp::none) {
    return false;
  }
  op = blank_op(code64 ? (p.address_size ? 32 : 64) : (p.address_size ? 16 : 32));
  info = {};
  info.length = static_cast<u8>(p.length + 3);
  info.operand_bits = 32;
  info.prefixes = p.repeat == 0xF3 ? prefix::rep : prefix::repne;
  std::memcpy(info.bytes, bytes, info.length);
  if (p.lock || !exists(system, code64)) {
    op.fn = &op_undefined;
    return true;
  }
  op.fn = &op_system;
  info.system_id = static_cast<u16>(system);
  return true;
}

}  // namespace softsnp::cpu

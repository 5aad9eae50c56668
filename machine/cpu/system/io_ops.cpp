// IN, OUT, INS, OUTS. APM2 8.2 (I/O permission map: 12.2.5), 15.10. Inside the machine there is no
// device: an access that nobody intercepts reads all ones.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

using x86::Gpr;

// CPL > IOPL, or v8086 mode: the TSS decides. False: core.fault is set.
bool permitted(System& system, u16 port, unsigned bytes) {
  const CoreState& s = system.state();
  const bool map_decides =
      s.protected_mode() && (s.v8086() || s.cpl > get_bits(s.system_flags, 13, 12));
  if (!map_decides) {
    return true;
  }
  constexpr u32 map_base_offset = 0x66;
  const bool tss16 = (s.tr.attributes & 8) == 0;
  if (tss16 || map_base_offset + 1 > s.tr.limit) {
    return system.fail(x86::Vector::gp, 0);
  }
  u16 map = 0;
  u16 bits = 0;
  Core& core = system.core();
  if (!system.mmu().read_system(core, linear_of(s, s.tr.base, map_base_offset), &map, 2)) {
    return false;
  }
  const u32 at = u32{map} + port / 8;
  if (at + 1 > s.tr.limit) {
    return system.fail(x86::Vector::gp, 0);
  }
  if (!system.mmu().read_system(core, linear_of(s, s.tr.base, at), &bits, 2)) {
    return false;
  }
  const unsigned mask = ((1u << bytes) - 1) << (port % 8);
  return (bits & mask) == 0 || system.fail(x86::Vector::gp, 0);
}

// The VMCB's I/O permissions map: a bit a port, 12 KiB. CPUs may cache it; this one reads it.
bool map_intercepts(System& system, u16 port, unsigned bytes) {
  const Controls& controls = system.controls();
  if (controls.guest && controls.sev_es) {
    return true;
  }
  if (!system.intercepts(svm::ExitCode::ioio)) {
    return false;
  }
  const SystemPhysical base(controls.vmcb.iopm_base & ~page_offset_mask);
  for (unsigned i = 0; i < bytes; ++i) {
    const u32 number = u32{port} + i;
    const SystemPhysical at = base + number / 8;
    const SystemPhysical page = at.page();
    if (!system.mmu().dram().contains(page, page_size)) {
      return true;
    }
    const u8 byte = system.mmu().frame(page, memory::KeyId::none)[at.page_offset()];
    if (has_bit(byte, number % 8)) {
      return true;
    }
  }
  return false;
}

constexpr u64 size_bits(unsigned bytes) {
  return bytes == 1 ? svm::ioio::size8 : bytes == 2 ? svm::ioio::size16 : svm::ioio::size32;
}

// Address size 16, 32, 64 in bits 7, 8, 9 (hardware sheet 8.2).
constexpr u64 address_bits(unsigned bits) {
  return bits == 16 ? svm::ioio::addr16 : bits == 32 ? svm::ioio::addr32 : svm::ioio::addr64;
}

u64 exit_info(const Instruction& in, u16 port, unsigned bytes, bool input, bool string) {
  u64 info = (u64{port} << svm::ioio::port_shift) | size_bits(bytes);
  info |= input ? svm::ioio::in : 0;
  info |= address_bits(in.op.address_bits == 0 ? 64 : in.op.address_bits);
  if (string) {
    const u64 seg = input ? 0 : in.op.seg;
    info |= svm::ioio::string | (seg << svm::ioio::segment_shift);
    const bool rep = (in.info.prefixes & (prefix::rep | prefix::repne)) != 0;
    info |= rep ? svm::ioio::rep : 0;
  }
  return info;
}

unsigned operand_bytes(const Instruction& in) {
  return in.info.operand_bits >= 32 ? 4 : in.info.operand_bits / 8;
}

// Checks of one access; true if it may reach the (empty) bus.
bool reaches_bus(System& system, const Instruction& in, u16 port, bool input, bool string,
                 Step& out) {
  const unsigned bytes = operand_bytes(in);
  if (!permitted(system, port, bytes)) {
    out = Step::fault;
    return false;
  }
  if (map_intercepts(system, port, bytes)) {
    // EXITINFO2 = RIP behind the instruction (APM2 15.10.2).
    out = system.intercept(svm::ExitCode::ioio, exit_info(in, port, bytes, input, string),
                           system.next_rip());
    return false;
  }
  return true;
}

// RSI, RDI, RCX as the address size sees them.
u64 address_mask(const Instruction& in) {
  return in.op.address_bits == 64 ? ~u64{0} : mask_bits(in.op.address_bits - 1u, 0);
}

void set_address_register(System& system, const Instruction& in, Gpr gpr, u64 value) {
  write_gpr(system, static_cast<u8>(gpr), value, in.op.address_bits);
}

u64 string_linear(System& system, const Instruction& in, bool input) {
  Core& core = system.core();
  const Gpr pointer = input ? Gpr::rdi : Gpr::rsi;
  const unsigned seg = input ? static_cast<unsigned>(x86::Segment::es) : in.op.seg;
  const u64 offset = reg(system, pointer) & address_mask(in);
  return in_code64(core) ? core.seg_base[seg] + offset
                         : legacy_linear(core, seg, offset, operand_bytes(in),
                                         input ? Access::write : Access::read);
}

// One element.
bool transfer(System& system, const Instruction& in, bool input) {
  const unsigned bytes = operand_bytes(in);
  const u64 linear = string_linear(system, in, input);
  u64 value = ~u64{0};
  if (!(input ? store_sized(system, linear, bytes, value)
              : load_sized(system, linear, bytes, value))) {
    return false;
  }
  const bool down = (system.state().system_flags & x86::rflags::df) != 0;
  const Gpr pointer = input ? Gpr::rdi : Gpr::rsi;
  set_address_register(system, in, pointer,
                       reg(system, pointer) + (down ? u64{0} - bytes : u64{bytes}));
  return true;
}

// So many elements of a REP instruction before other events get their turn.
constexpr unsigned burst = 256;

}  // namespace

namespace handlers {

Step in_out(System& system, const Instruction& in) {
  const bool input = in.id == SystemOp::in;
  const u16 port = static_cast<u16>(in.op.r1 == gpr_zero ? in.op.imm : reg(system, Gpr::rdx));
  Step out{};
  if (!reaches_bus(system, in, port, input, false, out)) {
    return out;
  }
  if (input) {
    write_gpr(system, 0, ~u64{0}, operand_bytes(in) * 8);
  }
  return Step::next;
}

Step ins_outs(System& system, const Instruction& in) {
  const bool input = in.id == SystemOp::ins;
  const u16 port = static_cast<u16>(reg(system, Gpr::rdx));
  Step out{};
  if (!reaches_bus(system, in, port, input, true, out)) {
    return out;
  }
  if ((in.info.prefixes & (prefix::rep | prefix::repne)) == 0) {
    return transfer(system, in, input) ? Step::next : Step::fault;
  }
  for (unsigned i = 0; i < burst; ++i) {
    const u64 count = reg(system, Gpr::rcx) & address_mask(in);
    if (count == 0) {
      return Step::next;
    }
    if (!transfer(system, in, input)) {
      return Step::fault;
    }
    set_address_register(system, in, Gpr::rcx, count - 1);
  }
  return Step::again;
}

}  // namespace handlers
}  // namespace softsnp::cpu

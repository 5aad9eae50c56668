#include "guest/runtime/vc_handler.hpp"

#include "arch/ghcb/events.hpp"
#include "arch/svm/exit_code.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {
namespace {

struct PortInstruction {
  bool valid = false, in = false;
  unsigned size = 1, length = 1;
  u16 port = 0;
};

PortInstruction decode_port(const Frame& frame) {
  const auto* code = reinterpret_cast<const u8*>(frame.rip);
  PortInstruction out;
  unsigned at = 0;
  bool narrow = false;
  if (code[at] == 0x66) {
    narrow = true;
    ++at;
  }
  const u8 op = code[at];
  const bool immediate = op >= 0xE4 && op <= 0xE7;
  if (!immediate && !(op >= 0xEC && op <= 0xEF)) {
    return out;
  }
  out.valid = true;
  out.in = (op & 2) == 0;
  out.size = (op & 1) == 0 ? 1 : narrow ? 2 : 4;
  out.port = immediate ? code[at + 1] : static_cast<u16>(frame.rdx);
  out.length = at + (immediate ? 2 : 1);
  return out;
}

bool handle_port(Frame& frame) {
  const PortInstruction io = decode_port(frame);
  if (!io.valid) {
    return false;
  }
  u64 value = frame.rax;
  if (!ghcb().port_io(io.port, io.size, io.in, value)) {
    return false;
  }
  if (io.in) {
    const u64 mask = io.size == 4 ? ~u64{0} : (u64{1} << (8 * io.size)) - 1;
    frame.rax = (frame.rax & ~mask) | (value & mask);
  }
  frame.rip += io.length;
  return true;
}

bool handle_cpuid(Frame& frame) {
  const auto* code = reinterpret_cast<const u8*>(frame.rip);
  if (code[0] != 0x0F || code[1] != 0xA2) {
    return false;
  }
  u64 regs[4];
  if (!ghcb().cpuid(static_cast<u32>(frame.rax), static_cast<u32>(frame.rcx), regs)) {
    return false;
  }
  frame.rax = regs[0];
  frame.rbx = regs[1];
  frame.rcx = regs[2];
  frame.rdx = regs[3];
  frame.rip += 2;
  return true;
}

bool handle_msr(Frame& frame) {
  const auto* code = reinterpret_cast<const u8*>(frame.rip);
  if (code[0] != 0x0F || (code[1] != 0x30 && code[1] != 0x32)) {
    return false;
  }
  const bool write = code[1] == 0x30;
  u64 value = (frame.rdx << 32) | static_cast<u32>(frame.rax);
  if (!ghcb().msr(static_cast<u32>(frame.rcx), write, value)) {
    return false;
  }
  if (!write) {
    frame.rax = static_cast<u32>(value);
    frame.rdx = value >> 32;
  }
  frame.rip += 2;
  return true;
}

}  // namespace

bool handle_vc(Frame& frame) {
  switch (static_cast<svm::ExitCode>(frame.error)) {
    case svm::ExitCode::ioio:
      return handle_port(frame);
    case svm::ExitCode::cpuid:
      return handle_cpuid(frame);
    case svm::ExitCode::msr:
      return handle_msr(frame);
    default:
      return false;
  }
}

}  // namespace softsnp::guest

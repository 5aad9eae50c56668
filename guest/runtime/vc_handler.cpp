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

namespace field = ghcb::field;

bool port_io(GhcbClient& client, u16 port, unsigned size, bool in, u64& value) {
  const GhcbUse use(client);
  client.begin();
  client.set(field::rax, value);
  const u64 info = u64{port} << svm::ioio::port_shift | u64{size} << 4 | svm::ioio::addr64 |
                   (in ? svm::ioio::in : 0);
  if (!use.ok() || !client.call(number(svm::ExitCode::ioio), info, 0)) {
    return false;
  }
  value = client.page().rax;
  return true;
}

bool cpuid(GhcbClient& client, u32 leaf, u32 subleaf, u64 regs[4]) {
  const GhcbUse use(client);
  client.begin();
  client.set(field::rax, leaf);
  client.set(field::rcx, subleaf);
  client.set(field::xcr0, 1);
  if (!use.ok() || !client.call(number(svm::ExitCode::cpuid), 0, 0)) {
    return false;
  }
  regs[0] = client.page().rax;
  regs[1] = client.page().rbx;
  regs[2] = client.page().rcx;
  regs[3] = client.page().rdx;
  return true;
}

bool msr(GhcbClient& client, u32 number_, bool write, u64& value) {
  const GhcbUse use(client);
  client.begin();
  client.set(field::rcx, number_);
  if (write) {
    client.set(field::rax, static_cast<u32>(value));
    client.set(field::rdx, value >> 32);
  }
  if (!use.ok() || !client.call(number(svm::ExitCode::msr), write ? 1 : 0, 0)) {
    return false;
  }
  if (!write) {
    value = client.page().rdx << 32 | static_cast<u32>(client.page().rax);
  }
  return true;
}

bool handle_port(GhcbClient& client, Frame& frame) {
  const PortInstruction io = decode_port(frame);
  if (!io.valid) {
    return false;
  }
  u64 value = frame.rax;
  if (!port_io(client, io.port, io.size, io.in, value)) {
    return false;
  }
  if (io.in) {
    const u64 mask = io.size == 4 ? ~u64{0} : (u64{1} << (8 * io.size)) - 1;
    frame.rax = (frame.rax & ~mask) | (value & mask);
  }
  frame.rip += io.length;
  return true;
}

bool handle_cpuid(GhcbClient& client, Frame& frame) {
  const auto* code = reinterpret_cast<const u8*>(frame.rip);
  if (code[0] != 0x0F || code[1] != 0xA2) {
    return false;
  }
  u64 regs[4];
  if (!cpuid(client, static_cast<u32>(frame.rax), static_cast<u32>(frame.rcx), regs)) {
    return false;
  }
  frame.rax = regs[0];
  frame.rbx = regs[1];
  frame.rcx = regs[2];
  frame.rdx = regs[3];
  frame.rip += 2;
  return true;
}

bool handle_msr(GhcbClient& client, Frame& frame) {
  const auto* code = reinterpret_cast<const u8*>(frame.rip);
  if (code[0] != 0x0F || (code[1] != 0x30 && code[1] != 0x32)) {
    return false;
  }
  const bool write = code[1] == 0x30;
  u64 value = (frame.rdx << 32) | static_cast<u32>(frame.rax);
  if (!msr(client, static_cast<u32>(frame.rcx), write, value)) {
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

bool handle_vc(GhcbClient& client, Frame& frame) {
  switch (static_cast<svm::ExitCode>(frame.error)) {
    case svm::ExitCode::ioio:
      return handle_port(client, frame);
    case svm::ExitCode::cpuid:
      return handle_cpuid(client, frame);
    case svm::ExitCode::msr:
      return handle_msr(client, frame);
    default:
      return false;
  }
}

}  // namespace softsnp::guest

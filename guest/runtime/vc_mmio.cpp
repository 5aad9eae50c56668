// Moves to and from device memory. GHCB sheet 3.3.
#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/frame_registers.hpp"
#include "guest/runtime/vc_event.hpp"

namespace softsnp::guest {
namespace {

using decode::Extension;
using decode::Operation;

// Where the device is: a page that the guest itself has mapped shared. A #VC for a private one is
// the hypervisor's attempt to read or to forge private data.
Handled<GuestPhysical> device_address(const VcEvent& event, GuestVirtual at, Access access) {
  const usize size = event.instruction.size;
  if (event.user() || at.page_offset() + size > page_size) {
    return trouble(Cause::vc_unsupported);
  }
  const auto to = event.state.memory.translate(at, access, event.user());
  if (!to) {
    return Failure{to.error()};
  }
  if (to->encrypted) {
    return trouble(Cause::mmio_of_private_page);
  }
  return to->at;
}

Handled<u64> read_device(const VcEvent& event, GuestVirtual at) {
  const auto from = device_address(event, at, Access::read);
  if (!from) {
    return Failure{from.error()};
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  GhcbClient& client = event.ghcb();
  client.begin();
  client.use_buffer();
  auto done = client.call(number(ghcb::Event::mmio_read), from->value(), event.instruction.size);
  if (!done) {
    return done;
  }
  u64 value = 0;
  client.read_buffer(&value, event.instruction.size);
  return value;
}

Handled<void> write_device(const VcEvent& event, GuestVirtual at, u64 value) {
  const auto to = device_address(event, at, Access::write);
  if (!to) {
    return Failure{to.error()};
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  GhcbClient& client = event.ghcb();
  client.begin();
  client.set_buffer(&value, event.instruction.size);
  const auto done =
      client.call(number(ghcb::Event::mmio_write), to->value(), event.instruction.size);
  return done ? Handled<void>() : Handled<void>(Failure{done.error()});
}

u64 extend(u64 value, const decode::Instruction& i) {
  if (i.extension != Extension::sign) {
    return value;
  }
  const unsigned unused = 64 - 8 * i.size;
  return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

Handled<void> load(const VcEvent& event) {
  const auto value = read_device(event, effective_address(event));
  if (!value) {
    return Failure{value.error()};
  }
  const decode::Instruction& i = event.instruction;
  write_register(gpr(event.frame, i.reg), extend(*value, i), i.register_size, i.high_byte);
  event.finish();
  return {};
}

Handled<void> store(const VcEvent& event) {
  const decode::Instruction& i = event.instruction;
  const u64 value = i.operation == Operation::store_immediate
                        ? i.immediate
                        : gpr(event.frame, i.reg) >> (i.high_byte ? 8 : 0);
  const auto done = write_device(event, effective_address(event), value);
  if (done) {
    event.finish();
  }
  return done;
}

// One element; with REP the instruction is executed again for the next.
void finish_element(const VcEvent& event, bool source) {
  const bool cut = event.instruction.memory.address32;
  const auto advance = [&](u64& reg, u64 by) { reg = cut ? static_cast<u32>(reg + by) : reg + by; };
  const bool down = (event.frame.rflags & x86::rflags::df) != 0;
  const u64 step = down ? u64{0} - event.instruction.size : event.instruction.size;
  advance(event.frame.rdi, step);
  if (source) {
    advance(event.frame.rsi, step);
  }
  if (event.instruction.rep) {
    advance(event.frame.rcx, ~u64{0});
  }
  if (!event.instruction.rep || event.frame.rcx == 0) {
    event.finish();
  }
}

u64 string_address(const VcEvent& event, u64 reg) {
  return event.instruction.memory.address32 ? static_cast<u32>(reg) : reg;
}

Handled<void> store_string(const VcEvent& event) {
  const GuestVirtual to(string_address(event, event.frame.rdi));
  const auto done = write_device(event, to, event.frame.rax);
  if (done) {
    finish_element(event, false);
  }
  return done;
}

// One side is the device, or both. The other is reached as memory; should it be a device as well,
// that access raises a #VC of its own.
Handled<void> move_string(const VcEvent& event) {
  if (event.user()) {
    return trouble(Cause::vc_unsupported);
  }
  u8 value[8];
  const usize size = event.instruction.size;
  const GuestVirtual from(segment_base(event) + string_address(event, event.frame.rsi));
  const GuestVirtual to(string_address(event, event.frame.rdi));
  if (const auto got = read_memory(event.state.memory, from, value, size, false); !got) {
    return got;
  }
  if (const auto put = write_memory(event.state.memory, to, value, size, false); !put) {
    return put;
  }
  finish_element(event, true);
  return {};
}

}  // namespace

// In 64-bit mode only FS and GS have bases.
u64 segment_base(const VcEvent& event) {
  const decode::Instruction& i = event.instruction;
  if (!i.segment_override) {
    return 0;
  }
  return event.ghcb().processor().read_msr(i.segment == x86::Segment::fs ? x86::msr::fs_base
                                                                         : x86::msr::gs_base);
}

GuestVirtual effective_address(const VcEvent& event) {
  const decode::MemoryOperand& m = event.instruction.memory;
  u64 sum = m.displacement;
  sum += m.has_base ? gpr(event.frame, m.base) : 0;
  sum += m.has_index ? gpr(event.frame, m.index) * m.scale : 0;
  sum += m.rip_relative ? event.frame.rip + event.instruction.length : 0;
  return GuestVirtual(segment_base(event) + (m.address32 ? static_cast<u32>(sum) : sum));
}

Handled<void> emulate_mmio(const VcEvent& event) {
  switch (event.instruction.operation) {
    case Operation::load:
      return load(event);
    case Operation::store:
    case Operation::store_immediate:
      return store(event);
    case Operation::stos:
      return store_string(event);
    default:
      return move_string(event);
  }
}

}  // namespace softsnp::guest

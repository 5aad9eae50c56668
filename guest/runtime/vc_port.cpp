// IN, OUT, INS, OUTS. GHCB sheet 3.2.
#include "arch/svm/exit_code.hpp"
#include "guest/runtime/frame_registers.hpp"
#include "guest/runtime/vc_event.hpp"

namespace softsnp::guest {
namespace {

namespace field = ghcb::field;
namespace ioio = svm::ioio;
using decode::Operation;

u64 exit_info(const VcEvent& event) {
  const decode::Instruction& i = event.instruction;
  const u16 port = i.port_in_dx ? static_cast<u16>(event.frame.rdx) : i.port;
  const bool in = i.operation == Operation::in || i.operation == Operation::ins;
  // Sizes are one-hot: bit 4 for one byte, 5 for two, 6 for four.
  return u64{port} << ioio::port_shift | u64{i.size} << 4 | (in ? ioio::in : 0) |
         (i.memory.address32 ? ioio::addr32 : ioio::addr64);
}

bool allowed(const VcEvent& event) {
  return !event.user() || event.state.policy.user_ports;
}

// A string instruction's pointer and counter, cut off at 32 bits with an address-size prefix.
class StringPointer {
 public:
  StringPointer(const VcEvent& event, x86::Gpr reg)
      : event_(event),
        reg_(gpr(event.frame, reg)),
        base_(reg == x86::Gpr::rsi ? segment_base(event) : 0) {}

  u64 count() const { return event_.instruction.rep ? cut(event_.frame.rcx) : 1; }
  GuestVirtual element(u64 index) const { return GuestVirtual(base_ + cut(reg_ + index * step())); }
  // After `done` elements; the instruction stays where it is if there are more.
  void advance(u64 done) {
    const u64 before = count();
    reg_ = cut(reg_ + done * step());
    if (event_.instruction.rep) {
      event_.frame.rcx = cut(event_.frame.rcx - done);
    }
    if (done == before) {
      event_.finish();
    }
  }

 private:
  u64 cut(u64 value) const {
    return event_.instruction.memory.address32 ? static_cast<u32>(value) : value;
  }
  u64 step() const {
    const u64 size = event_.instruction.size;
    return (event_.frame.rflags & x86::rflags::df) != 0 ? u64{0} - size : size;
  }

  const VcEvent& event_;
  u64& reg_;
  u64 base_;
};

// Elements that can be moved before the first one that faults.
template <class F>
Handled<u64> until_fault(u64 wanted, F&& act) {
  for (u64 i = 0; i < wanted; ++i) {
    if (const Handled<void> done = act(i); !done) {
      return i != 0 ? Handled<u64>(i) : Handled<u64>(Failure{done.error()});
    }
  }
  return wanted;
}

}  // namespace

Handled<void> emulate_port(const VcEvent& event) {
  if (!allowed(event)) {
    return trouble(general_protection());
  }
  const GhcbUse use(event.ghcb());
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  const decode::Instruction& i = event.instruction;
  event.ghcb().begin();
  if (i.operation == Operation::out) {
    event.ghcb().set(field::rax, event.frame.rax & mask_bits(8 * i.size - 1, 0));
  }
  if (const auto done = event.ghcb().call(number(ghcb::Event::ioio), exit_info(event), 0); !done) {
    return Failure{done.error()};
  }
  if (i.operation == Operation::in) {
    const auto value = event.ghcb().answer(field::rax);
    if (!value) {
      return Failure{value.error()};
    }
    write_register(event.frame.rax, *value, i.size);
  }
  event.finish();
  return {};
}

// One chunk of the shared buffer; the instruction traps again for the rest.
Handled<void> emulate_string_port(const VcEvent& event) {
  if (!allowed(event)) {
    return trouble(general_protection());
  }
  const decode::Instruction& i = event.instruction;
  const bool in = i.operation == Operation::ins;
  StringPointer pointer(event, in ? x86::Gpr::rdi : x86::Gpr::rsi);
  const u64 room = ghcb::shared_buffer_bytes / i.size;
  const u64 wanted = pointer.count() < room ? pointer.count() : room;
  if (wanted == 0) {
    event.finish();
    return {};
  }
  VcMemory& memory = event.state.memory;
  u8 buffer[ghcb::shared_buffer_bytes];
  const auto ready = until_fault(wanted, [&](u64 n) {
    return in ? check_memory(memory, pointer.element(n), i.size, Access::write, event.user())
              : read_memory(memory, pointer.element(n), buffer + n * i.size, i.size, event.user());
  });
  if (!ready) {
    return Failure{ready.error()};
  }
  {
    const GhcbUse use(event.ghcb());
    if (!use.ok()) {
      return trouble(Cause::vc_nested_too_deep);
    }
    const unsigned segment = i.segment_override ? static_cast<unsigned>(i.segment) : in ? 0u : 3u;
    const u64 info = exit_info(event) | ioio::string | (i.rep ? ioio::rep : 0) |
                     u64{in ? 0u : segment} << ioio::segment_shift;
    event.ghcb().begin();
    event.ghcb().set_buffer(buffer, in ? 0 : *ready * i.size);
    if (const auto done = event.ghcb().call(number(ghcb::Event::ioio), info, *ready); !done) {
      return Failure{done.error()};
    }
    event.ghcb().read_buffer(buffer, *ready * i.size);
  }
  for (u64 n = 0; in && n < *ready; ++n) {
    const auto written =
        write_memory(memory, pointer.element(n), buffer + n * i.size, i.size, event.user());
    if (!written) {
      return written;
    }
  }
  pointer.advance(*ready);
  return {};
}

}  // namespace softsnp::guest

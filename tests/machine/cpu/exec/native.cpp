#include "tests/machine/cpu/exec/native.hpp"

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace softsnp::cpu::test {
namespace {

// At place::context; the trampoline addresses it absolutely.
struct Context {
  u64 gpr[16];
  u64 rflags;
  u64 host_rsp;
  u64 at_pad;
  u64 fault_vector;
  u64 fault_rip;
  u64 fill[11];
  FxState fx;
  FxState host_fx;
};
static_assert(offsetof(Context, fx) == 256);

volatile Context& context() {
  return *reinterpret_cast<Context*>(place::context);
}
Context& plain_context() {
  return *reinterpret_cast<Context*>(place::context);
}

constexpr u64 no_fault = ~u64{0};
constexpr u64 entry_offset = 0, entry_fx_offset = 0x200, exit_offset = 0x400,
              fault_exit_offset = 0x500;

u8* reserve(u64 at, u64 size, int protection) {
  void* result = mmap(reinterpret_cast<void*>(at), size, protection,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (result != reinterpret_cast<void*>(at)) {
    std::perror("mmap of the native test area");
    std::abort();
  }
  return static_cast<u8*>(result);
}

// Just enough of an assembler.
class Emitter {
 public:
  explicit Emitter(u8* at) : at_(at) {}
  void bytes(std::initializer_list<u8> list) {
    for (const u8 byte : list) {
      *at_++ = byte;
    }
  }
  // op reg or /digit, [disp32 absolute]
  void absolute(std::initializer_list<u8> opcode, unsigned reg, u64 address) {
    bytes(opcode);
    bytes({static_cast<u8>((reg & 7) << 3 | 4), 0x25});
    const u32 low = static_cast<u32>(address);
    std::memcpy(at_, &low, 4);
    at_ += 4;
  }
  void load(unsigned reg, u64 address) {
    absolute({static_cast<u8>(reg >= 8 ? 0x4C : 0x48), 0x8B}, reg, address);
  }
  void store(unsigned reg, u64 address) {
    absolute({static_cast<u8>(reg >= 8 ? 0x4C : 0x48), 0x89}, reg, address);
  }
  void jump(u64 target) {
    bytes({0xE9});
    const u32 relative = static_cast<u32>(target - (reinterpret_cast<u64>(at_) + 4));
    std::memcpy(at_, &relative, 4);
    at_ += 4;
  }

 private:
  u8* at_;
};

constexpr u64 field(usize offset) {
  return place::context + offset;
}
constexpr u64 gpr_field(unsigned reg) {
  return field(offsetof(Context, gpr) + reg * 8);
}
constexpr unsigned rsp = 4;

void emit_entry(u64 offset, WithFx fx) {
  Emitter e(reinterpret_cast<u8*>(place::code + offset));
  e.bytes({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57});
  e.store(rsp, field(offsetof(Context, host_rsp)));
  if (fx == WithFx::yes) {
    e.absolute({0x48, 0x0F, 0xAE}, 0, field(offsetof(Context, host_fx)));  // FXSAVE64
    e.absolute({0x48, 0x0F, 0xAE}, 1, field(offsetof(Context, fx)));       // FXRSTOR64
  }
  e.absolute({0xFF}, 6, field(offsetof(Context, rflags)));  // PUSH
  e.bytes({0x9D});                                          // POPF
  for (unsigned reg = 0; reg < 16; ++reg) {
    if (reg != rsp) {
      e.load(reg, gpr_field(reg));
    }
  }
  e.load(rsp, gpr_field(rsp));
  e.jump(place::instruction);
}

void emit_exits() {
  Emitter pad(reinterpret_cast<u8*>(place::pad));
  // MOV QWORD [at_pad], 1
  pad.absolute({0x48, 0xC7}, 0, field(offsetof(Context, at_pad)));
  pad.bytes({1, 0, 0, 0});
  pad.jump(place::code + exit_offset);

  Emitter exit(reinterpret_cast<u8*>(place::code + exit_offset));
  for (unsigned reg = 0; reg < 16; ++reg) {
    exit.store(reg, gpr_field(reg));
  }
  exit.load(rsp, field(offsetof(Context, host_rsp)));
  exit.bytes({0x9C});                                          // PUSHF
  exit.absolute({0x8F}, 0, field(offsetof(Context, rflags)));  // POP
  exit.jump(place::code + fault_exit_offset);

  Emitter fault(reinterpret_cast<u8*>(place::code + fault_exit_offset));
  fault.bytes({0xFC});  // CLD
  fault.absolute({0x48, 0x0F, 0xAE}, 0, field(offsetof(Context, fx)));
  fault.bytes({0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3});
}

// Order of the general registers in a signal's context.
constexpr int context_registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                       REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                       REG_R12, REG_R13, REG_R14, REG_R15};

void on_signal(int number, siginfo_t*, void* raw) {
  auto& registers = static_cast<ucontext_t*>(raw)->uc_mcontext.gregs;
  const u64 rip = static_cast<u64>(registers[REG_RIP]);
  if (rip < place::instruction || rip >= place::pad) {
    signal(number, SIG_DFL);  // not ours: die of it
    return;
  }
  volatile Context& c = context();
  for (unsigned i = 0; i < 16; ++i) {
    c.gpr[i] = static_cast<u64>(registers[context_registers[i]]);
  }
  c.rflags = static_cast<u64>(registers[REG_EFL]);
  c.fault_vector = static_cast<u64>(registers[REG_TRAPNO]);
  c.fault_rip = rip;
  registers[REG_RIP] =
      static_cast<greg_t>(place::code + fault_exit_offset);  // NOLINT(bugprone-*): an address
  registers[REG_RSP] = static_cast<greg_t>(c.host_rsp);
  registers[REG_EFL] = 2;
}

void install_handlers() {
  constexpr usize stack_size = usize{1} << 16;
  stack_t stack = {};
  static u8 handler_stack[stack_size];
  stack.ss_sp = handler_stack;
  stack.ss_size = stack_size;
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = &on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
    sigaction(number, &action, nullptr);
  }
}

}  // namespace

Native::Native() {
  reserve(place::code, page_size, PROT_READ | PROT_WRITE | PROT_EXEC);
  reserve(place::context, page_size, PROT_READ | PROT_WRITE);
  reserve(place::data - page_size, page_size, PROT_NONE);
  reserve(place::data, place::data_size, PROT_READ | PROT_WRITE);
  reserve(place::data + place::data_size, page_size, PROT_NONE);
  std::memset(reinterpret_cast<void*>(place::code), 0xCC, page_size);
  emit_entry(entry_offset, WithFx::no);
  emit_entry(entry_fx_offset, WithFx::yes);
  emit_exits();
  install_handlers();
  syscall(SYS_arch_prctl, ARCH_SET_GS, place::gs_base);
}

Native::~Native() {
  munmap(reinterpret_cast<void*>(place::code), page_size);
  munmap(reinterpret_cast<void*>(place::context), page_size);
  munmap(reinterpret_cast<void*>(place::data - page_size), place::data_size + 2 * page_size);
}

void Native::load(std::span<const u8> instruction) {
  u8* at = reinterpret_cast<u8*>(place::instruction);
  std::memcpy(at, instruction.data(), instruction.size());
  length_ = static_cast<u32>(instruction.size());
  Emitter(at + length_).jump(place::code + exit_offset);
}

void Native::run(MachineState& state, WithFx fx) {
  Context& c = plain_context();
  std::memcpy(c.gpr, state.gpr, sizeof c.gpr);
  c.rflags = state.rflags;
  c.at_pad = 0;
  c.fault_vector = no_fault;
  if (fx == WithFx::yes) {
    c.fx = state.fx;
  }
  const u64 entry = place::code + (fx == WithFx::yes ? entry_fx_offset : entry_offset);
  reinterpret_cast<void (*)()>(entry)();
  asm volatile("" ::: "memory");
  std::memcpy(state.gpr, c.gpr, sizeof c.gpr);
  state.rflags = c.rflags;
  if (fx == WithFx::yes) {
    state.fx = c.fx;
    asm volatile("fxrstor64 %0" : : "m"(c.host_fx));
  }
  const bool faulted = c.fault_vector != no_fault;
  state.vector = faulted ? static_cast<int>(c.fault_vector) : -1;
  state.rip = faulted ? c.fault_rip : c.at_pad != 0 ? place::pad : place::instruction + length_;
}

}  // namespace softsnp::cpu::test

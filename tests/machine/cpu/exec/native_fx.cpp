#include "tests/machine/cpu/exec/native_fx.hpp"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>

namespace softsnp::cpu::fx_test {
namespace {

// What the generated code and the signal handler share.
struct alignas(64) Frame {
  FxState before, after;
  u64 gpr[16];
  u64 rflags;
  u64 saved_rsp;
  u64 epilogue;
  u32 host_mxcsr;
  u32 vector_plus_one;
};
constexpr unsigned frame_offset = page_size;
Frame* active = nullptr;

constexpr int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                             REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                             REG_R12, REG_R13, REG_R14, REG_R15};

void on_signal(int, siginfo_t*, void* context) {
  auto* uc = static_cast<ucontext_t*>(context);
  Frame& frame = *active;
  for (unsigned i = 0; i < 16; ++i) {
    frame.gpr[i] = static_cast<u64>(uc->uc_mcontext.gregs[greg_of[i]]);
  }
  frame.rflags = static_cast<u64>(uc->uc_mcontext.gregs[REG_EFL]);
  frame.vector_plus_one = static_cast<u32>(uc->uc_mcontext.gregs[REG_TRAPNO] + 1);
  std::memcpy(&frame.after, uc->uc_mcontext.fpregs, sizeof frame.after);
  auto& restored = *reinterpret_cast<FxState*>(uc->uc_mcontext.fpregs);
  restored.fcw = 0x37F;
  restored.fsw = 0;
  restored.ftw = 0;
  restored.mxcsr = 0x1F80;
  uc->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(frame.epilogue);
}

class Emitter {
 public:
  Emitter(u8* at, const Frame* frame) : at_(at), frame_(frame) {}
  void bytes(std::initializer_list<u8> list) {
    for (const u8 byte : list) {
      *at_++ = byte;
    }
  }
  // opcode and a RIP-relative operand in the frame.
  void relative(std::initializer_list<u8> opcode, unsigned reg, usize offset) {
    bytes(opcode);
    *at_++ = static_cast<u8>((reg & 7) << 3 | 5);
    const auto target = reinterpret_cast<u64>(frame_) + offset;
    store_le<u32>(at_, static_cast<u32>(target - reinterpret_cast<u64>(at_ + 4)));
    at_ += 4;
  }
  u8* at() const { return at_; }

 private:
  u8* at_;
  const Frame* frame_;
};

void emit_prologue(Emitter& e) {
  e.bytes({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57});
  e.relative({0x48, 0x89}, 4, offsetof(Frame, saved_rsp));
  e.relative({0x48, 0x0F, 0xAE}, 1, offsetof(Frame, before));
  e.relative({0xFF}, 6, offsetof(Frame, rflags));
  e.bytes({0x9D});
  for (unsigned i = 0; i < 16; ++i) {
    if (i != 4) {
      e.relative({static_cast<u8>(0x48 | (i >> 3) << 2), 0x8B}, i, offsetof(Frame, gpr) + 8 * i);
    }
  }
}

void emit_epilogue(Emitter& e, Frame& frame) {
  for (unsigned i = 0; i < 16; ++i) {
    e.relative({static_cast<u8>(0x48 | (i >> 3) << 2), 0x89}, i, offsetof(Frame, gpr) + 8 * i);
  }
  e.bytes({0x9C});
  e.relative({0x8F}, 0, offsetof(Frame, rflags));
  e.relative({0x48, 0x0F, 0xAE}, 0, offsetof(Frame, after));
  frame.epilogue = reinterpret_cast<u64>(e.at());
  e.bytes({0xDB, 0xE3});
  e.relative({0x0F, 0xAE}, 2, offsetof(Frame, host_mxcsr));
  e.relative({0x48, 0x8B}, 4, offsetof(Frame, saved_rsp));
  e.bytes({0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3});
}

constexpr u32 slot_bytes = 16;
constexpr int signals[4] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS};

}  // namespace

Native::Native() {
  constexpr int access = PROT_READ | PROT_WRITE;
  void* at = mmap(nullptr, 2 * page_size, access | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  page_ = static_cast<u8*>(at);
  at = mmap(nullptr, data_bytes + page_size, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  data_ = static_cast<u8*>(at);
  mprotect(data_ + data_bytes, page_size, PROT_NONE);
  auto& frame = *new (page_ + frame_offset) Frame{};
  frame.host_mxcsr = 0x1F80;
  Emitter prologue(page_, &frame);
  emit_prologue(prologue);
  code_ = reinterpret_cast<u64>(prologue.at());
  std::memset(prologue.at(), 0x90, slot_bytes);
  Emitter epilogue(prologue.at() + slot_bytes, &frame);
  emit_epilogue(epilogue, frame);
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  for (unsigned i = 0; i < 4; ++i) {
    sigaction(signals[i], &action, &previous_[i]);
  }
}

Native::~Native() {
  for (unsigned i = 0; i < 4; ++i) {
    sigaction(signals[i], &previous_[i], nullptr);
  }
  munmap(page_, 2 * page_size);
  munmap(data_, data_bytes + page_size);
}

Result Native::run(const Result& before, const u8* bytes, u32 size) {
  Frame& frame = *reinterpret_cast<Frame*>(page_ + frame_offset);
  auto* slot = reinterpret_cast<u8*>(code_);
  std::memset(slot, 0x90, slot_bytes);
  std::memcpy(slot, bytes, size);
  frame.before = before.fx;
  std::memcpy(frame.gpr, before.gpr, sizeof frame.gpr);
  frame.rflags = before.rflags | 0x202;
  frame.vector_plus_one = 0;
  active = &frame;
  reinterpret_cast<void (*)()>(page_)();
  Result after;
  std::memcpy(after.gpr, frame.gpr, sizeof frame.gpr);
  after.rflags = frame.rflags;
  after.fx = frame.after;
  after.vector = static_cast<int>(frame.vector_plus_one) - 1;
  return after;
}

}  // namespace softsnp::cpu::fx_test

// The host processor as the referee: runs one instruction natively from a given state. Everything
// lies at fixed low addresses, which the executor's memory port maps one to one.
#pragma once

#include <span>

#include "machine/cpu/exec/state.hpp"

namespace softsnp::cpu::test {

// State before and after one instruction.
struct MachineState {
  u64 gpr[16] = {};
  u64 rflags = 2;   // status flags and DF
  u64 rip = 0;      // out only
  int vector = -1;  // out only: the exception it raised
  FxState fx;
};

// Where things lie, natively and in the executor.
namespace place {
inline constexpr u64 code = 0x2000'0000;          // trampoline
inline constexpr u64 instruction = code + 0x800;  // the instruction under test
inline constexpr u64 pad = code + 0x840;          // a branch target within reach of rel8
inline constexpr u64 context = 0x2100'0000;
// Two pages of data between pages without access.
inline constexpr u64 data = 0x3000'0000;
inline constexpr u64 data_size = 2 * page_size;
// Memory operands lie here, across the page boundary; compared after each state.
inline constexpr u64 window = data + page_size - 256;
inline constexpr u64 window_size = 512;
inline constexpr u64 gs_base = 0x0765'4000;
}  // namespace place

inline u8* data_pointer() {
  return reinterpret_cast<u8*>(place::data);
}
inline u8* window_pointer() {
  return reinterpret_cast<u8*>(place::window);
}

enum class WithFx : u8 { no, yes };

class Native {
 public:
  Native();
  ~Native();
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;

  // The instruction that run() runs.
  void load(std::span<const u8> instruction);
  // Loads all registers but RIP (WithFx::yes: also x87, SSE, MXCSR), runs it, stores them. Exits
  // are the next instruction, place::pad, or an exception.
  void run(MachineState& state, WithFx fx);

 private:
  u32 length_ = 0;
};

}  // namespace softsnp::cpu::test

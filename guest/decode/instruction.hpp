// The instructions that a guest's #VC handler meets, in 64-bit mode: those that are intercepted,
// and the moves that compilers use on device memory. APM3 (24594) chapters 1, 3, 4. Freestanding.
#pragma once

#include "arch/x86/registers.hpp"
#include "base/result.hpp"
#include "base/view.hpp"

namespace softsnp::decode {

enum class Operation : u8 {
  in,
  out,
  ins,
  outs,
  load,             // memory to a register
  store,            // a register to memory
  store_immediate,  // a constant to memory
  movs,
  stos,
  cpuid,
  rdmsr,
  wrmsr,
  rdtsc,
  rdtscp,
  rdpmc,
  wbinvd,
  invd,
  vmmcall,
  monitor,
  mwait,
  read_dr,
  write_dr,
};

// What a load does with a value narrower than its register.
enum class Extension : u8 { none, zero, sign };

struct MemoryOperand {
  bool has_base = false, has_index = false, rip_relative = false;
  bool address32 = false;  // the sum is cut off at 32 bits
  x86::Gpr base = x86::Gpr::rax, index = x86::Gpr::rax;
  u8 scale = 1;
  u64 displacement = 0;
};

struct Instruction {
  Operation operation = Operation::in;
  u8 length = 0;
  bool rep = false;
  u8 size = 0;           // of the operand in memory or at the port, in bytes
  u8 register_size = 0;  // of the destination of a load
  Extension extension = Extension::none;
  x86::Gpr reg = x86::Gpr::rax;  // of a load, a store, a move to or from DRn
  bool high_byte = false;        // AH, CH, DH, BH: bits 15:8 of reg (RAX to RBX)
  bool port_in_dx = false;
  u8 port = 0;            // if not in DX
  u8 debug_register = 0;  // DRn
  u64 immediate = 0;      // sign-extended
  MemoryOperand memory{};
  bool segment_override = false;
  x86::Segment segment = x86::Segment::ds;  // of the override
};

enum class DecodeError : u8 {
  truncated,    // more bytes are needed
  unsupported,  // none of the above, or not a valid encoding of it
};

inline constexpr usize max_instruction_bytes = 15;

Result<Instruction, DecodeError> decode(ByteView bytes);

}  // namespace softsnp::decode

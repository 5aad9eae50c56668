// The compact internal instruction and the block of them that the executor runs.
#pragma once

#include "arch/address.hpp"
#include "base/types.hpp"

namespace softsnp::cpu {

struct Core;
struct Op;

// Executes *op. Returns what to run next: in the threaded form (release) the value of the tail
// call, in the loop form the next Op; nullptr = the executor stops (Core::stop says why).
using Handler = const Op* (*)(Core&, const Op*);

// How an effective address is formed. base64: 64-bit code, base + displacement; flat64: with an
// index too; segment64: with the base of FS or GS too; general: any (32- and 16-bit addresses,
// legacy modes).
enum class Addressing : u8 { base64, flat64, segment64, general };

// 32 bytes. Registers are numbers 0..15, or gpr_zero. An 8-bit general register operand is its byte
// offset in CoreState::gpr (AL 0, CL 8, AH 1, SIL 48).
struct alignas(32) Op {
  Handler fn;
  u64 imm;   // immediate, sign-extended to 64 bits; branches: target RIP
  i64 disp;  // displacement; RIP-relative: the absolute address with base = gpr_zero
  u8 r0;     // first register operand (destination unless it is memory)
  u8 r1;     // second register operand
  u8 base, index;
  u8 scale;         // shift count 0..3
  u8 seg;           // x86::Segment of the memory operand; without one DS or the override
  u8 address_bits;  // 16, 32, 64
  u8 extra;         // third register operand, second immediate, or handler-specific
};
static_assert(sizeof(Op) == 32);

// What only slow paths need, parallel to Block::ops.
struct OpInfo {
  u16 rip_offset;      // of the instruction from Block::rip
  u16 retired_before;  // instructions of the block before this one
  u16 system_id;       // machine/cpu/system: which instruction; 0 = not a system instruction
  u8 length;           // bytes of the instruction (of the last one if fused)
  u8 operand_bits;     // 8, 16, 32, 64
  u8 prefixes;         // Prefix bits
  u8 memory_operands;  // explicit and implied; those of a repeated string instruction count once
  u8 bytes[15];        // the instruction as fetched (for VMCB instruction bytes and traces)
};

namespace prefix {
inline constexpr u8 lock = 1, rep = 2, repne = 4, rex_w = 8;
}

struct Block;

// A successor remembered by a block; valid while context equals Core::context.
struct Link {
  u64 context = 0;
  Block* block = nullptr;
};

struct Block {
  u64 rip = 0;      // linear address of the first byte (CS base included)
  u64 end_rip = 0;  // RIP after the last instruction (fall-through)
  u32 mode = 0;     // CodeMode key the block was decoded for
  u32 instruction_count = 0;
  u32 op_count = 0;  // ops, the closing op included
  u32 byte_count = 0;
  SystemPhysical start;        // sPA of the first byte
  SystemPhysical second_page;  // frame of the bytes past the page end, if byte_count reaches there
  bool dead = false;
  Block* next_in_bucket = nullptr;  // of the block cache
  Link taken, fall_through;
  Op* ops = nullptr;
  OpInfo* info = nullptr;
};

}  // namespace softsnp::cpu

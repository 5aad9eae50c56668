// The table that maps an instruction to its handler: one row for each mnemonic, operand form and
// size. Tables: rows_integer_*.cpp, rows_system.cpp, rows_sse.cpp, rows_x87.cpp. An instruction
// without a row is #UD.
#pragma once

#include <Zydis/Mnemonic.h>

#include <array>
#include <span>
#include <utility>

#include "machine/cpu/exec/op.hpp"
#include "machine/cpu/exec/system_op.hpp"

namespace softsnp::cpu {

// Kinds of visible operands (explicit, and implicit ones that an assembler would write, such as CL
// of SHL or AL of ADD AL, imm).
enum class Operand : u8 {
  none,
  reg,      // general register of any size
  mem,      // memory, also the address of LEA
  imm,      // immediate, also the implied 1 of a shift
  rel,      // branch target: Op::imm is the target RIP, truncated to the operand size
  pointer,  // selector:offset in the instruction: Op::imm offset, Op::disp selector
  xmm,
  mmx,
  st,  // x87 stack register: number in r0/r1
  segment,
  control,
  debug,
  far,    // no operand: stands first in the form of a far branch, before the visible operands
  other,  // never in a row
};

// Operand kinds in encoding order (destination first), four bits each from bit 0 up.
using Form = u32;
constexpr Form form(Operand a = Operand::none, Operand b = Operand::none, Operand c = Operand::none,
                    Operand d = Operand::none) {
  return static_cast<Form>(a) | static_cast<Form>(b) << 4 | static_cast<Form>(c) << 8 |
         static_cast<Form>(d) << 12;
}
constexpr bool has_memory(Form f) {
  for (; f != 0 && f != ~Form{0}; f >>= 4) {
    if ((f & 15) == static_cast<Form>(Operand::mem)) {
      return true;
    }
  }
  return false;
}

namespace forms {
inline constexpr Form none = 0;
inline constexpr Form any = ~Form{0};  // for mnemonics with a single row
inline constexpr Form r = form(Operand::reg), m = form(Operand::mem), i = form(Operand::imm),
                      rel = form(Operand::rel), s = form(Operand::segment), st = form(Operand::st);
inline constexpr Form far = form(Operand::far), far_i = form(Operand::far, Operand::imm),
                      far_m = form(Operand::far, Operand::mem),
                      far_pointer = form(Operand::far, Operand::pointer);
inline constexpr Form r_r = form(Operand::reg, Operand::reg),
                      r_m = form(Operand::reg, Operand::mem),
                      m_r = form(Operand::mem, Operand::reg),
                      r_i = form(Operand::reg, Operand::imm),
                      m_i = form(Operand::mem, Operand::imm),
                      i_r = form(Operand::imm, Operand::reg),
                      i_i = form(Operand::imm, Operand::imm),
                      r_s = form(Operand::reg, Operand::segment),
                      m_s = form(Operand::mem, Operand::segment),
                      s_r = form(Operand::segment, Operand::reg),
                      s_m = form(Operand::segment, Operand::mem);
inline constexpr Form r_r_r = form(Operand::reg, Operand::reg, Operand::reg),
                      r_r_m = form(Operand::reg, Operand::reg, Operand::mem),
                      r_m_r = form(Operand::reg, Operand::mem, Operand::reg),
                      m_r_r = form(Operand::mem, Operand::reg, Operand::reg),
                      r_r_i = form(Operand::reg, Operand::reg, Operand::imm),
                      r_m_i = form(Operand::reg, Operand::mem, Operand::imm),
                      m_r_i = form(Operand::mem, Operand::reg, Operand::imm);
inline constexpr Form x_x = form(Operand::xmm, Operand::xmm),
                      x_m = form(Operand::xmm, Operand::mem),
                      m_x = form(Operand::mem, Operand::xmm),
                      x_r = form(Operand::xmm, Operand::reg),
                      r_x = form(Operand::reg, Operand::xmm),
                      x_i = form(Operand::xmm, Operand::imm),
                      x_x_i = form(Operand::xmm, Operand::xmm, Operand::imm),
                      x_m_i = form(Operand::xmm, Operand::mem, Operand::imm),
                      x_r_i = form(Operand::xmm, Operand::reg, Operand::imm),
                      r_x_i = form(Operand::reg, Operand::xmm, Operand::imm),
                      m_x_i = form(Operand::mem, Operand::xmm, Operand::imm),
                      x_x_x = form(Operand::xmm, Operand::xmm, Operand::xmm),
                      x_m_x = form(Operand::xmm, Operand::mem, Operand::xmm);
inline constexpr Form q_q = form(Operand::mmx, Operand::mmx),
                      q_m = form(Operand::mmx, Operand::mem),
                      m_q = form(Operand::mem, Operand::mmx),
                      q_r = form(Operand::mmx, Operand::reg),
                      r_q = form(Operand::reg, Operand::mmx),
                      q_i = form(Operand::mmx, Operand::imm),
                      q_x = form(Operand::mmx, Operand::xmm),
                      x_q = form(Operand::xmm, Operand::mmx),
                      q_q_i = form(Operand::mmx, Operand::mmx, Operand::imm),
                      q_m_i = form(Operand::mmx, Operand::mem, Operand::imm),
                      q_r_i = form(Operand::mmx, Operand::reg, Operand::imm),
                      r_q_i = form(Operand::reg, Operand::mmx, Operand::imm);
inline constexpr Form st_st = form(Operand::st, Operand::st),
                      st_m = form(Operand::st, Operand::mem),
                      m_st = form(Operand::mem, Operand::st);
}  // namespace forms

// What the decoder stores of the operands. r0, r1, extra: numbers of the first, second, third
// register operand, whatever their class; a memory operand does not take a place among them. An
// 8-bit general register is the byte offset of the register in CoreState::gpr (AL 0, CL 8, AH 1).
// imm: the first immediate, sign-extended as the instruction does; a second one goes to extra.
// seg: of the memory operand, else DS or its override; address_bits: always.
struct Row {
  ZydisMnemonic mnemonic;
  Form form;
  // Size of operand 0 in bits if it is a register or memory, else (and of a far branch) the operand
  // size; 0: any.
  u16 bits;
  // Size of operand 1 in bits; 0: any.
  u16 source_bits;
  // 64-bit code; a memory operand has 64-bit addresses and no segment base (Addressing::flat64).
  Handler flat;
  // Anything else: legacy modes, 32-bit addresses. Null: flat serves all modes.
  Handler general;
  // As flat, if the memory operand has no index (Addressing::base64). Null: flat serves.
  Handler base;
  // 64-bit code and addresses with FS or GS (Addressing::segment64). Null: general serves.
  Handler segment;
  bool ends_block;  // control may leave here
  SystemOp system;  // OpInfo::system_id
};

// A row for a handler that does not depend on the addressing.
constexpr Row row(ZydisMnemonic mnemonic, Form form, u16 bits, Handler handler,
                  u16 source_bits = 0) {
  return {mnemonic, form,    bits,    source_bits, handler,
          nullptr,  nullptr, nullptr, false,       SystemOp::none};
}
// A row with a memory operand: H has static members of type Handler, H::template at<Addressing>.
template <class H>
constexpr Row memory_row(ZydisMnemonic mnemonic, Form form, u16 bits, u16 source_bits = 0) {
  return {mnemonic,
          form,
          bits,
          source_bits,
          &H::template at<Addressing::flat64>,
          &H::template at<Addressing::general>,
          &H::template at<Addressing::base64>,
          &H::template at<Addressing::segment64>,
          false,
          SystemOp::none};
}

// The same, control may leave after it.
constexpr Row ending(Row one) {
  one.ends_block = true;
  return one;
}
// general serves legacy modes (or a target that needs a check), flat 64-bit code.
constexpr Row with_general(Row one, Handler general) {
  one.general = general;
  return one;
}

// Rows of several tables, one after the other.
template <usize... N>
constexpr auto join(const std::array<Row, N>&... parts) {
  std::array<Row, (N + ... + 0)> all{};
  usize at = 0;
  const auto append = [&](const auto& part) {
    for (const Row& one : part) {
      all[at++] = one;
    }
  };
  (append(parts), ...);
  return all;
}

// The tables, each in the file of its name.
std::span<const Row> rows_move();
std::span<const Row> rows_arithmetic();
std::span<const Row> rows_shift();
std::span<const Row> rows_bit();
std::span<const Row> rows_stack();
std::span<const Row> rows_branch();
std::span<const Row> rows_string();
std::span<const Row> rows_misc();
std::span<const Row> rows_system();
std::span<const Row> rows_sse();
std::span<const Row> rows_x87();

}  // namespace softsnp::cpu

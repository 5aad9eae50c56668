// Bytes to internal instructions: Zydis decodes, a table maps mnemonic and operand form to a
// handler. APM volume 3.
#pragma once

#include <memory>

#include "machine/cpu/exec/op.hpp"

namespace softsnp::cpu {

enum class DecodeStatus : u8 {
  ok,          // op and info filled; the block may go on
  ends_block,  // op and info filled; control may leave here (branch, system instruction, #UD)
  truncated,   // more bytes are needed than given
};

class Decoder {
 public:
  Decoder();
  ~Decoder();
  // One instruction from bytes[0, size), at rip, for the code mode of machine/cpu/exec/core.hpp.
  // Fills fn and the operand fields of op, and info but for rip_offset and retired_before. An
  // undefined encoding becomes an op that raises #UD (ends_block); more than 15 bytes #GP.
  DecodeStatus decode(const u8* bytes, u32 size, u64 rip, u32 mode, Op& op, OpInfo& info) const;

  // Joins second, a conditional branch ending its block at end_rip, to the op before it: one op
  // that does both, described by first's OpInfo. False: they have no common form.
  static bool fuse(Op& first, const Op& second, u64 end_rip);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace softsnp::cpu

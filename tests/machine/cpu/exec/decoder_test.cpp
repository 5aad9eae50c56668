// Encodings that need care: SNP instructions, prefixes, lengths, operand conventions.
#include "machine/cpu/decode/decoder.hpp"

#include <gtest/gtest.h>

#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "machine/cpu/exec/string_ops.hpp"
#include "machine/cpu/exec/system_op.hpp"

namespace softsnp::cpu {
namespace {

constexpr u32 mode64 = code_mode::size64;
constexpr u32 mode32 = code_mode::size32 | code_mode::stack32;
constexpr u32 mode16 = code_mode::size16;
constexpr u64 rip = 0xFFFFFFFF81000000;

class DecoderTest : public testing::Test {
 protected:
  DecodeStatus decode(std::vector<u8> bytes, u32 mode = mode64, u64 at = rip) {
    return decoder_.decode(bytes.data(), static_cast<u32>(bytes.size()), at, mode, op, info);
  }
  SystemOp system(std::vector<u8> bytes, u32 mode = mode64) {
    bytes.resize(15, 0x90);
    decode(bytes, mode);
    return op.fn == &op_undefined ? SystemOp::none : static_cast<SystemOp>(info.system_id);
  }
  bool undefined(const std::vector<u8>& bytes, u32 mode = mode64) {
    return decode(bytes, mode) == DecodeStatus::ends_block && op.fn == &op_undefined;
  }
  Decoder decoder_;
  Op op{};
  OpInfo info{};
};

TEST_F(DecoderTest, SnpInstructions) {
  EXPECT_EQ(system({0xF2, 0x0F, 0x01, 0xFF}), SystemOp::pvalidate);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xFF}), SystemOp::psmash);
  EXPECT_EQ(system({0xF2, 0x0F, 0x01, 0xFE}), SystemOp::rmpupdate);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xFE}), SystemOp::rmpadjust);
  EXPECT_EQ(system({0xF2, 0x0F, 0x01, 0xFD}), SystemOp::rmpread);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xFD}), SystemOp::rmpquery);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xD9}), SystemOp::vmgexit);
  EXPECT_EQ(info.length, 4);
}

TEST_F(DecoderTest, MemoryOperands) {
  const auto count = [&](std::vector<u8> bytes) {
    bytes.resize(15, 0x90);
    decode(bytes);
    return unsigned{info.memory_operands};
  };
  EXPECT_EQ(count({0x48, 0x89, 0xC8}), 0u);        // mov rax, rcx
  EXPECT_EQ(count({0x48, 0x8B, 0x01}), 1u);        // mov rax, [rcx]
  EXPECT_EQ(count({0x48, 0x01, 0x01}), 1u);        // add [rcx], rax
  EXPECT_EQ(count({0x50}), 1u);                    // push rax
  EXPECT_EQ(count({0xFF, 0x31}), 2u);              // push [rcx]
  EXPECT_EQ(count({0xE8, 0, 0, 0, 0}), 1u);        // call
  EXPECT_EQ(count({0xC3}), 1u);                    // ret
  EXPECT_EQ(count({0x48, 0x8D, 0x04, 0x24}), 0u);  // lea rax, [rsp]
  EXPECT_EQ(count({0x0F, 0x1F, 0x00}), 0u);        // nop [rax]
  EXPECT_EQ(count({0xF3, 0xA4}), 2u);              // rep movsb
}

TEST_F(DecoderTest, SnpOpcodesWithoutPrefixAreOthers) {
  EXPECT_EQ(system({0x0F, 0x01, 0xFF}), SystemOp::tlbsync);
  EXPECT_EQ(system({0x0F, 0x01, 0xFE}), SystemOp::invlpgb);
  EXPECT_EQ(system({0x0F, 0x01, 0xFD}), SystemOp::rdpru);
  EXPECT_EQ(system({0x0F, 0x01, 0xD9}), SystemOp::vmmcall);
}

TEST_F(DecoderTest, SnpInstructionsByMode) {
  EXPECT_EQ(system({0xF2, 0x0F, 0x01, 0xFF}, mode32), SystemOp::pvalidate);
  EXPECT_EQ(op.address_bits, 32);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xD9}, mode32), SystemOp::vmgexit);
  EXPECT_EQ(system({0xF3, 0x0F, 0x01, 0xFE}, mode32), SystemOp::none);
  EXPECT_EQ(system({0x67, 0xF2, 0x0F, 0x01, 0xFF}), SystemOp::pvalidate);
  EXPECT_EQ(op.address_bits, 32);
  EXPECT_EQ(info.length, 5);
  EXPECT_EQ(system({0xF0, 0xF2, 0x0F, 0x01, 0xFF}), SystemOp::none);
}

TEST_F(DecoderTest, Lengths) {
  EXPECT_EQ(decode({0x48, 0x8B}), DecodeStatus::truncated);
  EXPECT_EQ(decode({0xF2, 0x0F, 0x01}), DecodeStatus::truncated);
  std::vector<u8> long_nop(14, 0x66);
  long_nop.push_back(0x90);
  EXPECT_EQ(decode(long_nop), DecodeStatus::ok);
  EXPECT_EQ(info.length, 15);
  std::vector<u8> too_long(15, 0x66);
  too_long.push_back(0x90);
  EXPECT_EQ(decode(too_long), DecodeStatus::ends_block);
  EXPECT_EQ(op.fn, &op_too_long);
}

TEST_F(DecoderTest, Undefined) {
  EXPECT_TRUE(undefined({0x0F, 0x0B}));              // UD2
  EXPECT_TRUE(undefined({0xF0, 0x01, 0xC0}));        // LOCK with a register
  EXPECT_TRUE(undefined({0xF0, 0x8B, 0x00}));        // LOCK MOV
  EXPECT_TRUE(undefined({0x06}));                    // PUSH ES in 64-bit code
  EXPECT_TRUE(undefined({0xC5, 0xF8, 0x58, 0xC1}));  // AVX
  EXPECT_TRUE(undefined({0x0F, 0xFF, 0xC0}));        // UD0
  EXPECT_FALSE(undefined({0xF0, 0x01, 0x00}));       // LOCK ADD
}

TEST_F(DecoderTest, Addresses) {
  ASSERT_EQ(decode({0x48, 0x8B, 0x05, 0x10, 0x00, 0x00, 0x00}), DecodeStatus::ok);
  EXPECT_EQ(op.base, gpr_zero);
  EXPECT_EQ(static_cast<u64>(op.disp), rip + 7 + 0x10);
  ASSERT_EQ(decode({0x48, 0x8B, 0x44, 0xCD, 0xF8}), DecodeStatus::ok);
  EXPECT_EQ(op.base, 5);
  EXPECT_EQ(op.index, 1);
  EXPECT_EQ(op.scale, 3);
  EXPECT_EQ(op.disp, -8);
  EXPECT_EQ(op.seg, static_cast<u8>(x86::Segment::ss));
  ASSERT_EQ(decode({0x2E, 0x48, 0x8B, 0x00}), DecodeStatus::ok);  // CS: ignored in 64-bit code
  EXPECT_EQ(op.seg, static_cast<u8>(x86::Segment::ds));
  ASSERT_EQ(decode({0x65, 0x48, 0x8B, 0x00}), DecodeStatus::ok);
  EXPECT_EQ(op.seg, static_cast<u8>(x86::Segment::gs));
  ASSERT_EQ(decode({0x67, 0x8B, 0x00}), DecodeStatus::ok);
  EXPECT_EQ(op.address_bits, 32);
  ASSERT_EQ(decode({0x8B, 0x00}, mode16), DecodeStatus::ok);  // MOV AX, [BX+SI]
  EXPECT_EQ(op.address_bits, 16);
  EXPECT_EQ(op.base, 3);
  EXPECT_EQ(op.index, 6);
}

TEST_F(DecoderTest, ByteRegisters) {
  ASSERT_EQ(decode({0x88, 0xE1}), DecodeStatus::ok);  // MOV CL, AH
  EXPECT_EQ(op.r0, 8);
  EXPECT_EQ(op.r1, 1);
  ASSERT_EQ(decode({0x40, 0x88, 0xE1}), DecodeStatus::ok);  // MOV CL, SPL
  EXPECT_EQ(op.r1, 32);
}

TEST_F(DecoderTest, BranchTargets) {
  ASSERT_EQ(decode({0xEB, 0xFE}), DecodeStatus::ends_block);
  EXPECT_EQ(op.imm, rip);
  ASSERT_EQ(decode({0xE9, 0x00, 0xF0, 0xFF, 0xFF}, mode32, 0x100), DecodeStatus::ends_block);
  EXPECT_EQ(op.imm, 0xFFFFF105u);
  ASSERT_EQ(decode({0xE9, 0x00, 0x80}, mode16, 0x9000), DecodeStatus::ends_block);
  EXPECT_EQ(op.imm, 0x1003u);
  ASSERT_EQ(decode({0x66, 0xE9, 0x00, 0x10}), DecodeStatus::ends_block);  // AMD: 16-bit target
  EXPECT_EQ(info.length, 4);
  EXPECT_EQ(op.imm, 0x1004u);
}

TEST_F(DecoderTest, RepeatPrefixes) {
  ASSERT_EQ(decode({0xF3, 0x48, 0xA5}), DecodeStatus::ok);
  EXPECT_EQ(op.extra, static_cast<u8>(Repeat::while_equal));
  EXPECT_EQ(info.prefixes, prefix::rep | prefix::rex_w);
  ASSERT_EQ(decode({0xF3, 0xF2, 0xA6}), DecodeStatus::ok);  // the last one counts
  EXPECT_EQ(op.extra, static_cast<u8>(Repeat::while_not_equal));
  ASSERT_EQ(decode({0xAA}), DecodeStatus::ok);
  EXPECT_EQ(op.extra, static_cast<u8>(Repeat::none));
}

TEST_F(DecoderTest, SystemOperands) {
  EXPECT_EQ(system({0x0F, 0x20, 0xD8}), SystemOp::mov_from_cr);  // MOV RAX, CR3
  EXPECT_EQ(op.r0, 0);
  EXPECT_EQ(op.r1, 3);
  EXPECT_EQ(system({0x0F, 0x22, 0xD9}), SystemOp::mov_to_cr);  // MOV CR3, RCX
  EXPECT_EQ(op.r0, 3);
  EXPECT_EQ(op.r1, 1);
  EXPECT_EQ(system({0x8E, 0xD8}), SystemOp::mov_to_seg);  // MOV DS, EAX
  EXPECT_EQ(op.r0, static_cast<u8>(x86::Segment::ds));
  EXPECT_EQ(op.r1, 0);
  EXPECT_EQ(op.extra, 0);
  EXPECT_EQ(system({0x8E, 0x10}), SystemOp::mov_to_seg);  // MOV SS, [RAX]
  EXPECT_EQ(op.r0, static_cast<u8>(x86::Segment::ss));
  EXPECT_EQ(op.extra, 1);
  EXPECT_EQ(system({0x0F, 0xB4, 0x08}), SystemOp::load_far_pointer);  // LFS ECX, [RAX]
  EXPECT_EQ(op.r0, static_cast<u8>(x86::Segment::fs));
  EXPECT_EQ(op.r1, 1);
  EXPECT_EQ(system({0xEE}), SystemOp::out);
  EXPECT_EQ(op.r1, 2);
  EXPECT_EQ(info.operand_bits, 8);
  EXPECT_EQ(system({0xE4, 0x80}), SystemOp::in);
  EXPECT_EQ(op.r1, gpr_zero);
  EXPECT_EQ(op.imm & 0xFF, 0x80u);
  EXPECT_EQ(info.operand_bits, 8);
  EXPECT_EQ(system({0xED}), SystemOp::in);
  EXPECT_EQ(op.r1, 2);
  EXPECT_EQ(info.operand_bits, 32);
  EXPECT_EQ(system({0xCD, 0x80}), SystemOp::int_n);
  EXPECT_EQ(op.imm & 0xFF, 0x80u);
}

TEST_F(DecoderTest, FarBranches) {
  EXPECT_EQ(system({0xEA, 0x78, 0x56, 0x34, 0x12, 0x08, 0x00}, mode32), SystemOp::far_jump);
  EXPECT_EQ(op.imm, 0x12345678u);
  EXPECT_EQ(op.disp, 8);
  EXPECT_EQ(op.extra, 0);
  EXPECT_EQ(system({0xFF, 0x28}), SystemOp::far_jump);
  EXPECT_EQ(op.extra, 1);
  EXPECT_EQ(system({0x48, 0xFF, 0x18}), SystemOp::far_call);
  EXPECT_EQ(info.operand_bits, 64);
  EXPECT_EQ(system({0x48, 0xCB}), SystemOp::far_return);
  EXPECT_EQ(info.operand_bits, 64);
  EXPECT_EQ(system({0xCA, 0x10, 0x00}), SystemOp::far_return);
  EXPECT_EQ(op.imm, 0x10u);
  EXPECT_EQ(system({0x48, 0xCF}), SystemOp::iret);
  EXPECT_EQ(info.operand_bits, 64);
}

TEST_F(DecoderTest, CacheAndTables) {
  EXPECT_EQ(system({0x0F, 0x09}), SystemOp::wbinvd);
  EXPECT_EQ(system({0xF3, 0x0F, 0x09}), SystemOp::wbnoinvd);
  EXPECT_EQ(system({0x0F, 0x01, 0x10}), SystemOp::lgdt);
  EXPECT_EQ(op.extra, 1);
  EXPECT_EQ(system({0x0F, 0x01, 0xF8}), SystemOp::swapgs);
  EXPECT_EQ(system({0x0F, 0x01, 0xE0}), SystemOp::smsw);
  EXPECT_EQ(op.extra, 0);
}

}  // namespace
}  // namespace softsnp::cpu

// 16- and 32-bit code against expected values from APM volume 3: what the host cannot run in
// 64-bit mode.
#include <gtest/gtest.h>

#include <cstring>

#include "base/bytes.hpp"
#include "tests/machine/cpu/exec/exec_runner.hpp"
#include "tests/machine/cpu/exec/host.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr u32 mode16 = code_mode::size16, mode32 = code_mode::size32 | code_mode::stack32;
constexpr u16 data_attributes = 0x93, code_attributes = 0x9B;
constexpr int no_fault = -1, stack_fault = 12, general_protection = 13;
constexpr unsigned rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;

// All segments start at the data pages; limits of 1 page + 0x7FF unless a test changes them.
class Legacy {
 public:
  explicit Legacy(u32 mode) : exec_(mode) {
    host();  // maps the data
    Core& core = exec_.core();
    core.state.efer = 0;
    for (unsigned i = 0; i < x86::segment_count; ++i) {
      core.seg_base[i] = place::data;
      core.state.seg[i] = {8, data_attributes, 0x17FF, place::data};
    }
    core.state.seg[1] = {8, code_attributes, 0xFFFF, 0};
    core.seg_base[1] = 0;
    std::memset(data_pointer(), 0, place::data_size);
  }
  svm::SegmentRegister& segment(x86::Segment s) {
    return exec_.core().state.seg[static_cast<u8>(s)];
  }
  int run(const std::vector<u8>& bytes) {
    exec_.load(bytes, 0x100);
    exec_.run(state);
    return state.vector;
  }
  template <class T>
  T at(u64 offset) const {
    return load_le<T>(data_pointer() + offset);
  }
  template <class T>
  void put(u64 offset, T value) {
    store_le<T>(data_pointer() + offset, value);
  }
  Core& core() { return exec_.core(); }
  bool flag(u64 mask) const { return (state.rflags & mask) != 0; }

  MachineState state;

 private:
  Exec exec_;
};

TEST(Legacy16, AddressesWrapAt64K) {
  Legacy m(mode16);
  m.segment(x86::Segment::ds).limit = 0xFFFF;
  m.put<u16>(0x10, 0xBEEF);
  m.state.gpr[rbx] = 0x1234F000;
  m.state.gpr[rsi] = 0x56781000;
  m.state.gpr[rax] = 0x11112222;
  EXPECT_EQ(m.run({0x8B, 0x40, 0x10}), no_fault);  // MOV AX, [BX+SI+10h]
  EXPECT_EQ(m.state.gpr[rax], 0x1111BEEFu);
}

TEST(Legacy16, StackPointerIsSixteenBits) {
  Legacy m(mode16);
  m.state.gpr[rsp] = 0xABCD0100;
  m.state.gpr[rax] = 0x12345678;
  EXPECT_EQ(m.run({0x50}), no_fault);  // PUSH AX
  EXPECT_EQ(m.state.gpr[rsp], 0xABCD00FEu);
  EXPECT_EQ(m.at<u16>(0xFE), 0x5678);
  EXPECT_EQ(m.run({0x66, 0x50}), no_fault);  // PUSH EAX
  EXPECT_EQ(m.state.gpr[rsp], 0xABCD00FAu);
  EXPECT_EQ(m.at<u32>(0xFA), 0x12345678u);
  EXPECT_EQ(m.run({0x66, 0x5B}), no_fault);  // POP EBX
  EXPECT_EQ(m.state.gpr[rbx], 0x12345678u);
  EXPECT_EQ(m.state.gpr[rsp], 0xABCD00FEu);
}

TEST(Legacy32, PushaAndPopa) {
  Legacy m(mode32);
  for (unsigned i = 0; i < 8; ++i) {
    m.state.gpr[i] = 0x1000 + i;
  }
  m.state.gpr[rsp] = 0x200;
  EXPECT_EQ(m.run({0x60}), no_fault);
  EXPECT_EQ(m.state.gpr[rsp], 0x1E0u);
  EXPECT_EQ(m.at<u32>(0x1FC), 0x1000u);  // EAX
  EXPECT_EQ(m.at<u32>(0x1EC), 0x200u);   // the old ESP
  EXPECT_EQ(m.at<u32>(0x1E0), 0x1007u);  // EDI
  m.put<u32>(0x1EC, 0xDEAD);             // ignored by POPA
  for (unsigned i = 0; i < 8; ++i) {
    m.state.gpr[i] = i == rsp ? 0x1E0 : 0;
  }
  EXPECT_EQ(m.run({0x61}), no_fault);
  EXPECT_EQ(m.state.gpr[rsp], 0x200u);
  EXPECT_EQ(m.state.gpr[rax], 0x1000u);
  EXPECT_EQ(m.state.gpr[rdi], 0x1007u);
}

TEST(Legacy32, PushaFaultChangesNothing) {
  Legacy m(mode32);
  m.state.gpr[rsp] = 0x10;  // room for four registers only
  EXPECT_EQ(m.run({0x60}), stack_fault);
  EXPECT_EQ(m.state.gpr[rsp], 0x10u);
  EXPECT_EQ(m.state.rip, 0x100u);
}

TEST(Legacy32, CallAndReturn) {
  Legacy m(mode32);
  m.state.gpr[rsp] = 0x100;
  EXPECT_EQ(m.run({0xE8, 0x10, 0x00, 0x00, 0x00}), no_fault);
  EXPECT_EQ(m.state.rip, 0x115u);
  EXPECT_EQ(m.at<u32>(0xFC), 0x105u);
  EXPECT_EQ(m.run({0xC2, 0x08, 0x00}), no_fault);  // RET 8
  EXPECT_EQ(m.state.rip, 0x105u);
  EXPECT_EQ(m.state.gpr[rsp], 0x108u);
}

TEST(Legacy32, BranchBeyondTheCodeLimit) {
  Legacy m(mode32);
  EXPECT_EQ(m.run({0xE9, 0x00, 0x00, 0x01, 0x00}), general_protection);
  EXPECT_EQ(m.state.rip, 0x100u);
  m.state.rflags = x86::rflags::fixed1 | x86::rflags::zf;
  EXPECT_EQ(m.run({0x0F, 0x84, 0x00, 0x00, 0x01, 0x00}), general_protection);  // JZ
  m.state.rflags = x86::rflags::fixed1;
  EXPECT_EQ(m.run({0x0F, 0x84, 0x00, 0x00, 0x01, 0x00}), no_fault);
  m.state.gpr[rsp] = 0x100;
  m.state.gpr[rax] = 0x20000;
  EXPECT_EQ(m.run({0xFF, 0xD0}), general_protection);  // CALL EAX
  EXPECT_EQ(m.state.gpr[rsp], 0x100u);
}

TEST(Legacy16, OperandSizePrefixOnBranches) {
  Legacy m(mode16);
  m.state.gpr[rsp] = 0x100;
  EXPECT_EQ(m.run({0x66, 0xE8, 0x00, 0x01, 0x00, 0x00}), no_fault);  // CALL rel32
  EXPECT_EQ(m.state.rip, 0x206u);
  EXPECT_EQ(m.at<u32>(0xFC), 0x106u);
  EXPECT_EQ(m.run({0xEB, 0x80}), no_fault);  // JMP to 82h
  EXPECT_EQ(m.state.rip, 0x82u);
}

TEST(Legacy16, LoopAndJcxzCountInCx) {
  Legacy m(mode16);
  m.state.gpr[rcx] = 0xFFFF0001;
  EXPECT_EQ(m.run({0xE2, 0x10}), no_fault);
  EXPECT_EQ(m.state.gpr[rcx], 0xFFFF0000u);
  EXPECT_EQ(m.state.rip, 0x102u);
  EXPECT_EQ(m.run({0xE3, 0x10}), no_fault);  // JCXZ
  EXPECT_EQ(m.state.rip, 0x112u);
  EXPECT_EQ(m.run({0x67, 0xE3, 0x10}), no_fault);  // JECXZ
  EXPECT_EQ(m.state.rip, 0x103u);
}

TEST(Legacy32, SegmentLimits) {
  Legacy m(mode32);
  m.state.gpr[rbx] = 0x17FC;
  EXPECT_EQ(m.run({0x8B, 0x03}), no_fault);  // MOV EAX, [EBX]: the last four bytes
  m.state.gpr[rbx] = 0x17FD;
  EXPECT_EQ(m.run({0x8B, 0x03}), general_protection);
  EXPECT_EQ(m.run({0x36, 0x8B, 0x03}), stack_fault);  // SS:
  m.state.gpr[rbp] = 0xFFFFFFFF;
  EXPECT_EQ(m.run({0x8B, 0x45, 0x00}), stack_fault);
}

TEST(Legacy32, SegmentTypes) {
  Legacy m(mode32);
  m.state.gpr[rbx] = 0x10;
  m.segment(x86::Segment::ds).attributes = 0x91;  // read-only
  EXPECT_EQ(m.run({0x8B, 0x03}), no_fault);
  EXPECT_EQ(m.run({0x89, 0x03}), general_protection);
  EXPECT_EQ(m.run({0x01, 0x03}), general_protection);
  m.segment(x86::Segment::ds).attributes = 0x99;  // execute-only
  EXPECT_EQ(m.run({0x8B, 0x03}), general_protection);
  m.segment(x86::Segment::ds).attributes = 0;  // null selector
  EXPECT_EQ(m.run({0x8B, 0x03}), general_protection);
  EXPECT_EQ(m.run({0x8D, 0x03}), no_fault);                      // LEA does not look
  m.segment(x86::Segment::ds) = {8, 0x497, 0xFFF, place::data};  // expand-down, big
  m.state.gpr[rbx] = 0xFFE;
  EXPECT_EQ(m.run({0x8B, 0x03}), general_protection);
  m.state.gpr[rbx] = 0x1000;
  EXPECT_EQ(m.run({0x8B, 0x03}), no_fault);
}

TEST(Legacy16, RealModeChecksLimitsOnly) {
  Legacy m(mode16);
  m.core().state.cr0 = x86::cr0::et;
  m.segment(x86::Segment::ds) = {0, 0, 0xFFFF, place::data};
  m.state.gpr[rbx] = 0x20;
  EXPECT_EQ(m.run({0x89, 0x07}), no_fault);  // MOV [BX], AX
  m.state.gpr[rbx] = 0xFFFF;
  EXPECT_EQ(m.run({0x89, 0x07}), general_protection);
}

TEST(Legacy32, StringsCheckSegmentsAndStopExactly) {
  Legacy m(mode32);
  for (unsigned i = 0; i < 64; ++i) {
    m.put<u8>(0x17C0 + i, static_cast<u8>(i + 1));
  }
  m.state.gpr[rsi] = 0x17C0;
  m.state.gpr[rdi] = 0x100;
  m.state.gpr[rcx] = 100;
  EXPECT_EQ(m.run({0xF3, 0xA4}), general_protection);  // REP MOVSB past the limit
  EXPECT_EQ(m.state.gpr[rcx], 36u);
  EXPECT_EQ(m.state.gpr[rsi], 0x1800u);
  EXPECT_EQ(m.state.gpr[rdi], 0x140u);
  EXPECT_EQ(m.at<u8>(0x13F), 64);
  EXPECT_EQ(m.at<u8>(0x140), 0);
  EXPECT_EQ(m.state.rip, 0x100u);
}

TEST(Legacy16, StringsWrapTheirIndex) {
  Legacy m(mode16);
  m.segment(x86::Segment::es).limit = 0xFFFF;
  m.core().seg_base[0] = place::data - 0xFFF0;
  m.state.gpr[rdi] = 0xABCDFFF0;
  m.state.gpr[rcx] = 0x10;
  m.state.gpr[rax] = 0x55;
  EXPECT_EQ(m.run({0xF3, 0xAA}), no_fault);  // REP STOSB up to the wrap
  EXPECT_EQ(m.state.gpr[rdi], 0xABCD0000u);
  EXPECT_EQ(m.state.gpr[rcx], 0u);
  EXPECT_EQ(m.at<u8>(0), 0x55);
  EXPECT_EQ(m.at<u8>(15), 0x55);
  EXPECT_EQ(m.at<u8>(16), 0);
}

struct Adjust {
  u8 opcode;
  u16 ax;
  bool af, cf;
  u16 result;
  bool af_after, cf_after;
};

TEST(Legacy32, DecimalAdjust) {
  // APM3, DAA, DAS, AAA, AAS.
  constexpr Adjust cases[] = {
      {0x27, 0x00AE, false, false, 0x0014, true, true},
      {0x27, 0x0079, false, false, 0x0079, false, false},
      {0x27, 0x0012, true, false, 0x0018, true, false},
      {0x27, 0x009A, false, false, 0x0000, true, true},
      {0x27, 0x0010, false, true, 0x0070, false, true},
      {0x2F, 0x00EE, true, false, 0x0088, true, true},
      {0x2F, 0x0047, false, false, 0x0047, false, false},
      {0x2F, 0x0003, true, false, 0x00FD, true, true},
      {0x2F, 0x00A0, false, false, 0x0040, false, true},
      {0x37, 0x010C, false, false, 0x0202, true, true},
      {0x37, 0x0135, false, false, 0x0105, false, false},
      {0x37, 0x01FF, true, false, 0x0305, true, true},
      {0x3F, 0x020C, false, false, 0x0106, true, true},
      {0x3F, 0x0235, false, false, 0x0205, false, false},
      {0x3F, 0x0201, true, false, 0x000B, true, true},
  };
  for (const Adjust& c : cases) {
    Legacy m(mode32);
    m.state.gpr[rax] = 0xABCD0000u | c.ax;
    m.state.rflags =
        x86::rflags::fixed1 | (c.af ? x86::rflags::af : 0) | (c.cf ? x86::rflags::cf : 0);
    EXPECT_EQ(m.run({c.opcode}), no_fault);
    EXPECT_EQ(m.state.gpr[rax], 0xABCD0000u | c.result) << int{c.opcode} << " " << c.ax;
    EXPECT_EQ(m.flag(x86::rflags::af), c.af_after) << int{c.opcode} << " " << c.ax;
    EXPECT_EQ(m.flag(x86::rflags::cf), c.cf_after) << int{c.opcode} << " " << c.ax;
  }
}

TEST(Legacy32, AsciiMultiplyAndDivide) {
  Legacy m(mode32);
  m.state.gpr[rax] = 0x004B;
  EXPECT_EQ(m.run({0xD4, 0x0A}), no_fault);  // AAM
  EXPECT_EQ(m.state.gpr[rax], 0x0705u);
  EXPECT_FALSE(m.flag(x86::rflags::zf));
  EXPECT_TRUE(m.flag(x86::rflags::pf));
  EXPECT_EQ(m.run({0xD5, 0x0A}), no_fault);  // AAD
  EXPECT_EQ(m.state.gpr[rax], 0x004Bu);
  EXPECT_EQ(m.run({0xD4, 0x00}), 0);  // #DE
}

TEST(Legacy32, BoundAndSalc) {
  Legacy m(mode32);
  m.put<u32>(0x10, static_cast<u32>(-5));
  m.put<u32>(0x14, 7);
  m.state.gpr[rbx] = 0x10;
  m.state.gpr[rax] = static_cast<u32>(-5);
  EXPECT_EQ(m.run({0x62, 0x03}), no_fault);
  m.state.gpr[rax] = 8;
  EXPECT_EQ(m.run({0x62, 0x03}), 5);  // #BR
  m.state.gpr[rax] = static_cast<u32>(-6);
  EXPECT_EQ(m.run({0x62, 0x03}), 5);
  m.state.rflags = x86::rflags::fixed1 | x86::rflags::cf;
  m.state.gpr[rax] = 0x1200;
  EXPECT_EQ(m.run({0xD6}), no_fault);
  EXPECT_EQ(m.state.gpr[rax], 0x12FFu);
}

TEST(Legacy32, EnterAndLeave) {
  Legacy m(mode32);
  m.state.gpr[rsp] = 0x200;
  m.state.gpr[rbp] = 0x300;
  m.put<u32>(0x2FC, 0x111);
  EXPECT_EQ(m.run({0xC8, 0x10, 0x00, 0x02}), no_fault);  // ENTER 16, 2
  EXPECT_EQ(m.at<u32>(0x1FC), 0x300u);
  EXPECT_EQ(m.at<u32>(0x1F8), 0x111u);
  EXPECT_EQ(m.at<u32>(0x1F4), 0x1FCu);
  EXPECT_EQ(m.state.gpr[rbp], 0x1FCu);
  EXPECT_EQ(m.state.gpr[rsp], 0x1E4u);
  EXPECT_EQ(m.run({0xC9}), no_fault);
  EXPECT_EQ(m.state.gpr[rsp], 0x200u);
  EXPECT_EQ(m.state.gpr[rbp], 0x300u);
}

TEST(Legacy32, PushfAndPopf) {
  Legacy m(mode32);
  m.core().state.cpl = 0;
  m.state.gpr[rsp] = 0x100;
  m.state.rflags = x86::rflags::fixed1 | x86::rflags::cf | x86::rflags::if_ | x86::rflags::rf;
  EXPECT_EQ(m.run({0x9C}), no_fault);
  EXPECT_EQ(m.at<u32>(0xFC), 0x203u);
  m.put<u32>(0xFC, 0x3C46);
  EXPECT_EQ(m.run({0x9D}), no_fault);
  EXPECT_EQ(m.state.rflags, 0x3C46u);
  EXPECT_EQ(m.state.gpr[rsp], 0x100u);
}

TEST(Legacy16, SixteenBitOperandsOfMovesToMemory) {
  Legacy m(mode16);
  m.segment(x86::Segment::ds).selector = 0x1234;
  m.state.gpr[rdi] = 0x40;
  EXPECT_EQ(m.run({0x8C, 0x1D}), no_fault);  // MOV [DI], DS
  EXPECT_EQ(m.at<u32>(0x40), 0x1234u);
  EXPECT_EQ(m.run({0x66, 0xC7, 0x05, 0x78, 0x56, 0x34, 0x12}), no_fault);
  EXPECT_EQ(m.at<u32>(0x40), 0x12345678u);
  m.state.gpr[rdx] = 0xFFFF0000;
  EXPECT_EQ(m.run({0x99}), no_fault);  // CWD
  EXPECT_EQ(m.state.gpr[rdx], 0xFFFF0000u);
}

}  // namespace
}  // namespace softsnp::cpu::test

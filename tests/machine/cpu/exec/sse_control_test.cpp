// What user mode on the host cannot show: control register checks, CPL 0 forms, legacy modes.
// Expectations from APM volume 2 (3.1, 11.4.4, 11.5) and the exception tables of volumes 3 to 5.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "machine/cpu/exec/xsave.hpp"
#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {
namespace {

constexpr int no_exception = -1, ud = 6, nm = 7, gp = 13, mf = 16, xf = 19;
constexpr u32 code_address = 0x1000;

class Control : public ::testing::Test {
 protected:
  // Data lies below 4 GiB, for legacy modes.
  Control() {
    void* at = mmap(nullptr, Native::data_bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    data = static_cast<u8*>(at);
    emulated = std::make_unique<Emulated>(code_address, data);
    before.gpr[3] = reinterpret_cast<u64>(data);
  }
  ~Control() override { munmap(data, Native::data_bytes); }

  CoreState& state() { return emulated->core().state; }
  Result run(std::initializer_list<u8> bytes) {
    const std::vector<u8> code(bytes);
    EXPECT_TRUE(emulated->decode(code.data(), static_cast<u32>(code.size()), mode));
    return emulated->run(before);
  }
  int vector(std::initializer_list<u8> bytes) { return run(bytes).vector; }
  void legacy() {
    mode = code_mode::size32;
    emulated->core().set_code_mode(mode);
    for (auto& segment : state().seg) {
      segment = {0x18, 0xC93, 0xFFFFFFFF, 0};
    }
    state().seg[1] = {0x10, 0xC9B, 0xFFFFFFFF, 0};
    state().efer = 0;
    state().cpl = 0;
  }
  void real_mode() {
    legacy();
    state().cr0 &= ~(x86::cr0::pe | x86::cr0::pg);
    state().seg[1].selector = 0x1234;
    state().seg[3].selector = 0x5678;
  }
  u32 dword(unsigned at) const { return load_le<u32>(data + at); }
  u16 word(unsigned at) const { return load_le<u16>(data + at); }

  u8* data;
  std::unique_ptr<Emulated> emulated;
  Result before;
  u32 mode = code_mode::size64 | code_mode::user;
};

constexpr std::initializer_list<u8> addps_x_x = {0x0F, 0x58, 0xC1};
constexpr std::initializer_list<u8> paddb_x_x = {0x66, 0x0F, 0xFC, 0xC1};
constexpr std::initializer_list<u8> paddb_m_m = {0x0F, 0xFC, 0xC1};
constexpr std::initializer_list<u8> cvtpi2ps_x_q = {0x0F, 0x2A, 0xC1};
constexpr std::initializer_list<u8> fld1 = {0xD9, 0xE8};
constexpr std::initializer_list<u8> fninit = {0xDB, 0xE3};
constexpr std::initializer_list<u8> fwait = {0x9B};
constexpr std::initializer_list<u8> fxsave_m = {0x0F, 0xAE, 0x03};
constexpr std::initializer_list<u8> xsave_m = {0x0F, 0xAE, 0x23};

TEST_F(Control, TaskSwitched) {
  state().cr0 |= x86::cr0::ts;
  EXPECT_EQ(vector(addps_x_x), nm);
  EXPECT_EQ(vector(paddb_x_x), nm);
  EXPECT_EQ(vector(paddb_m_m), nm);
  EXPECT_EQ(vector(cvtpi2ps_x_q), nm);
  EXPECT_EQ(vector(fld1), nm);
  EXPECT_EQ(vector(fninit), nm);
  EXPECT_EQ(vector(fwait), nm);
  EXPECT_EQ(vector(fxsave_m), nm);
  EXPECT_EQ(vector(xsave_m), nm);
  state().cr0 &= ~x86::cr0::mp;
  EXPECT_EQ(vector(fwait), no_exception);
  EXPECT_EQ(vector(fld1), nm);
}

TEST_F(Control, Emulation) {
  state().cr0 |= x86::cr0::em | x86::cr0::ts;
  EXPECT_EQ(vector(addps_x_x), ud);
  EXPECT_EQ(vector(paddb_x_x), ud);
  EXPECT_EQ(vector(paddb_m_m), ud);
  EXPECT_EQ(vector(fld1), nm);
  EXPECT_EQ(vector(fxsave_m), nm);
}

TEST_F(Control, WithoutOsfxsr) {
  state().cr4 &= ~x86::cr4::osfxsr;
  EXPECT_EQ(vector(addps_x_x), ud);
  EXPECT_EQ(vector(cvtpi2ps_x_q), ud);
  EXPECT_EQ(vector({0x0F, 0xAE, 0x1B}), ud);  // STMXCSR
  EXPECT_EQ(vector(paddb_m_m), no_exception);
  EXPECT_EQ(vector(fld1), no_exception);
  EXPECT_EQ(vector(fxsave_m), no_exception);
}

TEST_F(Control, SimdExceptionIsUndefinedWithoutOsxmmexcpt) {
  before.fx.mxcsr = 0x1F80 & ~0x200u;  // ZM
  before.fx.xmm[0] = {{0x3FF0000000000000, 1}};
  before.fx.xmm[1] = {{0, 1}};
  const Result trapped = run({0xF2, 0x0F, 0x5E, 0xC1});  // DIVSD
  EXPECT_EQ(trapped.vector, xf);
  EXPECT_EQ(trapped.fx.mxcsr, before.fx.mxcsr | 4);
  EXPECT_EQ(trapped.fx.xmm[0].lane[0], 0x3FF0000000000000u);
  state().cr4 &= ~x86::cr4::osxmmexcpt;
  EXPECT_EQ(vector({0xF2, 0x0F, 0x5E, 0xC1}), ud);
}

TEST_F(Control, XsaveNeedsOsxsave) {
  EXPECT_EQ(vector(xsave_m), no_exception);
  state().cr4 &= ~x86::cr4::osxsave;
  EXPECT_EQ(vector(xsave_m), ud);
  EXPECT_EQ(vector({0x0F, 0xAE, 0x2B}), ud);  // XRSTOR
}

TEST_F(Control, SupervisorXsave) {
  before.fx.xmm[5] = {{1, 2}};
  before.gpr[0] = 3;
  EXPECT_EQ(vector({0x48, 0x0F, 0xC7, 0x2B}), gp);  // XSAVES64 at CPL 3
  state().cpl = 0;
  EXPECT_EQ(vector({0x48, 0x0F, 0xC7, 0x2B}), no_exception);
  EXPECT_EQ(load_le<u64>(data + 512), 2u);
  EXPECT_EQ(load_le<u64>(data + 520), u64{1} << 63 | 3);
  before.fx.xmm[5] = {};
  const Result restored = run({0x48, 0x0F, 0xC7, 0x1B});  // XRSTORS64
  EXPECT_EQ(restored.vector, no_exception);
  EXPECT_EQ(restored.fx.xmm[5].lane[1], 2u);
  store_le<u64>(data + 520, 0);  // the standard form is refused
  EXPECT_EQ(vector({0x48, 0x0F, 0xC7, 0x1B}), gp);
}

TEST_F(Control, XrstorKeepsToXcr0) {
  state().xcr0 = 1;
  before.gpr[0] = 3;
  store_le<u64>(data + 512, 2);
  EXPECT_EQ(vector({0x48, 0x0F, 0xAE, 0x2B}), gp);
  store_le<u64>(data + 512, 0);
  before.fx.xmm[0] = {{7, 7}};
  const Result restored = run({0x48, 0x0F, 0xAE, 0x2B});
  EXPECT_EQ(restored.vector, no_exception);
  EXPECT_EQ(restored.fx.xmm[0].lane[0], 7u);
}

TEST_F(Control, FastFxsave) {
  before.fx.xmm[0] = {{7, 7}};
  state().efer |= x86::efer::ffxsr;
  run({0x48, 0x0F, 0xAE, 0x03});
  EXPECT_EQ(load_le<u64>(data + 160), 7u);
  store_le<u64>(data + 160, 9);
  state().cpl = 0;
  run({0x48, 0x0F, 0xAE, 0x03});
  EXPECT_EQ(load_le<u64>(data + 160), 9u);
  EXPECT_EQ(run({0x48, 0x0F, 0xAE, 0x0B}).fx.xmm[0].lane[0], 7u);
}

TEST_F(Control, LegacyFxsaveHasEightRegistersAndSelectors) {
  legacy();
  before.fx.fcw = 0x37E;  // IM: the pointers are stored only beside a pending exception
  run({0xD8, 0x03});      // FADD m32, stack underflow
  before.fx = state().fx;
  before.fx.xmm[7] = {{7, 7}};
  before.fx.xmm[8] = {{8, 8}};
  store_le<u64>(data + 288, 0x55);
  EXPECT_EQ(before.fx.fcs, 0x10);
  run(fxsave_m);
  EXPECT_EQ(load_le<u64>(data + 272), 7u);
  EXPECT_EQ(load_le<u64>(data + 288), 0x55u);
  EXPECT_EQ(dword(8), code_address);
  EXPECT_EQ(dword(12), 0x10u);
  EXPECT_EQ(dword(20), 0x18u);
  EXPECT_EQ(dword(16), static_cast<u32>(reinterpret_cast<u64>(data)));
}

TEST_F(Control, PendingExceptionWithoutNe) {
  before.fx.fcw = 0x37E;
  before.fx.fsw = 0x8081;
  EXPECT_EQ(vector(fld1), mf);
  EXPECT_EQ(vector(fwait), mf);
  EXPECT_EQ(vector(paddb_m_m), mf);
  EXPECT_EQ(vector(fninit), no_exception);
  state().cr0 &= ~x86::cr0::ne;
  const Result after = run(fld1);
  EXPECT_EQ(after.vector, no_exception);
  EXPECT_EQ(after.fx.fsw & 0x80FF, 0x8081);
  EXPECT_EQ(after.fx.ftw, 0x80);
  EXPECT_EQ(after.fx.fcw, 0x37E);
  EXPECT_EQ(vector(paddb_m_m), no_exception);
}

constexpr std::initializer_list<u8> fnstenv_m = {0xD9, 0x33};
constexpr std::initializer_list<u8> fnstenv16_m = {0x66, 0xD9, 0x33};

TEST_F(Control, EnvironmentInProtectedMode) {
  legacy();
  before.fx.fsw = 0x3800;
  before.fx.ftw = 0x80;
  store_le<u64>(before.fx.st[0], u64{1} << 63);
  store_le<u16>(before.fx.st[0] + 8, 0x3FFF);
  before.fx.fop = 0x103;
  before.fx.fip = 0x12345678;
  before.fx.fdp = 0x9ABCDEF0;
  before.fx.fcs = 0x10;
  before.fx.fds = 0x18;
  run(fnstenv_m);
  EXPECT_EQ(dword(0), 0xFFFF037Fu);
  EXPECT_EQ(dword(4), 0xFFFF3800u);
  EXPECT_EQ(dword(8), 0xFFFF3FFFu);
  EXPECT_EQ(dword(12), 0x12345678u);
  EXPECT_EQ(dword(16), 0x01030010u);
  EXPECT_EQ(dword(20), 0x9ABCDEF0u);
  EXPECT_EQ(dword(24), 0xFFFF0018u);
  run(fnstenv16_m);
  EXPECT_EQ(word(6), 0x5678u);
  EXPECT_EQ(word(8), 0x10u);
  EXPECT_EQ(word(10), 0xDEF0u);
  EXPECT_EQ(word(12), 0x18u);
}

TEST_F(Control, EnvironmentInRealMode) {
  real_mode();
  before.fx.fop = 0x6D3;
  before.fx.fip = 0xABCDE;
  before.fx.fdp = 0x54321;
  run(fnstenv_m);
  EXPECT_EQ(dword(12), 0xBCDEu);
  EXPECT_EQ(dword(16), 0x0000A6D3u);
  EXPECT_EQ(dword(20), 0x4321u);
  EXPECT_EQ(dword(24), 0x5000u);
  const Result loaded = run({0xD9, 0x23});  // FLDENV
  EXPECT_EQ(state().fx.fop, 0x6D3);
  EXPECT_EQ(state().fx.fip, 0xABCDEu);
  EXPECT_EQ(state().fx.fdp, 0x54321u);
  EXPECT_EQ(loaded.vector, no_exception);
  run(fnstenv16_m);
  EXPECT_EQ(word(6), 0xBCDEu);
  EXPECT_EQ(word(8), 0xA6D3u);
  EXPECT_EQ(word(10), 0x4321u);
  EXPECT_EQ(word(12), 0x5000u);
}

TEST_F(Control, PointersHoldSelectors) {
  legacy();
  store_le<u32>(data, 0x3F800000);
  run({0xD9, 0x03});
  EXPECT_EQ(state().fx.fcs, 0x10);
  EXPECT_EQ(state().fx.fds, 0x18);
  EXPECT_EQ(state().fx.fip, code_address);
  EXPECT_EQ(state().fx.fdp, reinterpret_cast<u64>(data));
  EXPECT_EQ(state().fx.fop, 0x103);
}

TEST_F(Control, UnalignedOperand) {
  before.gpr[3] += 4;
  EXPECT_EQ(vector({0x0F, 0x58, 0x03}), gp);            // ADDPS
  EXPECT_EQ(vector({0x0F, 0x28, 0x03}), gp);            // MOVAPS
  EXPECT_EQ(vector({0x0F, 0x10, 0x03}), no_exception);  // MOVUPS
  before.fx.mxcsr |= 0x20000;
  EXPECT_EQ(vector({0x0F, 0x58, 0x03}), no_exception);
  EXPECT_EQ(vector({0x0F, 0x28, 0x03}), gp);
  EXPECT_EQ(vector(fxsave_m), gp);
}

}  // namespace
}  // namespace softsnp::cpu::fx_test

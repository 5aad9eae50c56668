// FXSAVE, FXRSTOR, XSAVE, XSAVEC, XSAVEOPT, XRSTOR and LDMXCSR images against the host.
#include <gtest/gtest.h>

#include "tests/machine/cpu/exec/native_fx.hpp"

namespace softsnp::cpu::fx_test {
namespace {

class StateImages : public ::testing::Test {
 protected:
  Bench bench{21};
  Tally tally;
  Values& values() { return bench.values(); }

  // A state that may be (partly) the initial one.
  Result state() {
    Result s = values().state(values().one_in(2));
    if (values().one_in(3)) {
      const u32 mxcsr = s.fx.mxcsr;
      s.fx = {};
      s.fx.mxcsr = values().one_in(2) ? 0x1F80 : mxcsr;
    } else if (values().one_in(3)) {
      std::memset(s.fx.xmm, 0, sizeof s.fx.xmm);
    }
    s.gpr[0] = values().below(4) | values().bits() << 32;
    s.gpr[2] = 0;
    s.gpr[3] = reinterpret_cast<u64>(bench.native().data()) + values().below(16) * 64;
    if (values().one_in(20)) {
      s.gpr[3] += values().below(64);
    }
    return s;
  }

  u8* prepare_image(const Result& s) {
    auto* image = reinterpret_cast<u8*>(s.gpr[3]);
    for (unsigned i = 0; i < 576; ++i) {
      image[i] = static_cast<u8>(values().bits());
    }
    const Result other = values().state(values().one_in(2));
    std::memcpy(image, &other.fx, 416);
    store_le<u64>(image + 8, values().bits());  // FIP, FDP: all bits
    store_le<u64>(image + 16, values().bits());
    if (values().one_in(20)) {
      store_le<u32>(image + 24, static_cast<u32>(values().bits()));  // reserved MXCSR bits
    }
    std::memset(image + 512, 0, 64);
    store_le<u64>(image + 512, values().below(4));
    if (values().one_in(3)) {
      store_le<u64>(image + 520, values().below(4) | u64{1} << 63);
    }
    // Components 6 and 7 are the host's, but not the machine's.
    const u32 at = values().below(64);
    if (at != 0 && at != 8 && values().one_in(5)) {
      image[512 + at] ^= static_cast<u8>(0x80 >> values().below(2));
    }
    return image;
  }

  void run(const char* name, std::initializer_list<u8> bytes, u32 states) {
    const std::vector<u8> code(bytes);
    ASSERT_TRUE(bench.emulated().decode(code.data(), static_cast<u32>(code.size()))) << name;
    tally.forms.insert(name);
    for (u32 i = 0, failures = 0; i < states && failures < 3; ++i) {
      const Result before = state();
      prepare_image(before);
      failures +=
          bench.compare(name, code.data(), static_cast<u32>(code.size()), before, tally) ? 0 : 1;
    }
  }
};

TEST_F(StateImages, Differential) {
  run("FXSAVE64 [rbx]", {0x48, 0x0F, 0xAE, 0x03}, 2000);
  run("FXRSTOR64 [rbx]", {0x48, 0x0F, 0xAE, 0x0B}, 2000);
  run("FXRSTOR [rbx]", {0x0F, 0xAE, 0x0B}, 2000);
  run("XSAVE64 [rbx]", {0x48, 0x0F, 0xAE, 0x23}, 2000);
  run("XRSTOR64 [rbx]", {0x48, 0x0F, 0xAE, 0x2B}, 4000);
  run("XRSTOR [rbx]", {0x0F, 0xAE, 0x2B}, 4000);
  run("XSAVEOPT64 [rbx]", {0x48, 0x0F, 0xAE, 0x33}, 2000);
  run("XSAVEC64 [rbx]", {0x48, 0x0F, 0xC7, 0x23}, 2000);
  run("FXSAVE [rbx]", {0x0F, 0xAE, 0x03}, 2000);
  run("XSAVE [rbx]", {0x0F, 0xAE, 0x23}, 2000);
  run("XSAVEC [rbx]", {0x0F, 0xC7, 0x23}, 2000);
  run("LDMXCSR [rbx+24]", {0x0F, 0xAE, 0x53, 0x18}, 2000);
  tally.print("state images");
  EXPECT_EQ(tally.failures, 0u);
}

}  // namespace
}  // namespace softsnp::cpu::fx_test

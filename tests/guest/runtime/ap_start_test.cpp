#include "guest/runtime/ap_start.hpp"

#include <gtest/gtest.h>

#include "arch/x86/registers.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

struct World {
  SimulatedHost host;
  SimulatedGuest guest{host};
  ApStarter starter{guest.ghcb, {}};
  svm::Vmsa& vmsa = host.object<svm::Vmsa>(0x9000);
};

// GHCB sheet 3.7, Linux's column.
TEST(ApStart, RealModeSaveArea) {
  World w;
  w.vmsa.raw[0x123] = 1;
  fill_vmsa(w.vmsa, {Vmpl::vmpl2, 0x21, true}, RealModeStart{0x9F});
  EXPECT_EQ(w.vmsa.cs.selector, 0x9F00);
  EXPECT_EQ(w.vmsa.cs.base, 0x9F000u);
  EXPECT_EQ(w.vmsa.cs.attributes, 0x9A);
  EXPECT_EQ(w.vmsa.ds.attributes, 0x92);
  EXPECT_EQ(w.vmsa.ldtr.attributes, 0x82);
  EXPECT_EQ(w.vmsa.tr.attributes, 0x83);
  EXPECT_EQ(u64{w.vmsa.cr0}, 0x60000010u);
  EXPECT_EQ(u64{w.vmsa.cr4}, x86::cr4::mce);
  EXPECT_EQ(u64{w.vmsa.efer}, 0x1000u);
  EXPECT_EQ(u64{w.vmsa.rflags}, 2u);
  EXPECT_EQ(w.vmsa.vmpl, 2);
  EXPECT_EQ(u64{w.vmsa.sev_features}, 0x21u);
  EXPECT_EQ(u64{w.vmsa.g_pat}, 0x0007040600070406u);
  EXPECT_EQ(w.vmsa.raw[0x123], 0);
}

TEST(ApStart, StartAndDestroy) {
  World w;
  fill_vmsa(w.vmsa, {Vmpl::vmpl0, 1}, LongModeStart{0x1000, 0x2000, 5, 0x3000});
  ASSERT_TRUE(w.starter.start(7, w.vmsa).ok());
  EXPECT_TRUE(w.host.rmp(w.host.at(0x9000)).vmsa);
  ASSERT_EQ(w.host.started.size(), 1u);
  EXPECT_EQ(w.host.started[0].info1, 0x700000001u);
  EXPECT_EQ(w.host.started[0].vmsa, w.host.at(0x9000).value());
  EXPECT_EQ(w.host.started[0].features, 1u);
  ASSERT_TRUE(w.starter.destroy(7, w.vmsa, Vmpl::vmpl0, 1).ok());
  EXPECT_EQ(w.host.started[1].info1, 0x700000002u);
  EXPECT_FALSE(w.host.rmp(w.host.at(0x9000)).vmsa);
}

TEST(ApStart, RefusalLeavesAnOrdinaryPage) {
  World w;
  fill_vmsa(w.vmsa, {Vmpl::vmpl0, 1}, RealModeStart{1});
  w.host.lie_by_page = [](const ghcb::Ghcb&, ghcb::Ghcb& answer) { answer.sw_exitinfo1 = 2; };
  const auto result = w.starter.start(7, w.vmsa);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::ap_not_started);
  EXPECT_FALSE(w.host.rmp(w.host.at(0x9000)).vmsa);
}

TEST(ApStart, NotAtATwoMegabyteBoundaryAndNotBelowVmpl0) {
  World w;
  EXPECT_FALSE(w.starter.start(1, w.host.object<svm::Vmsa>(SimulatedGuest::large_offset)).ok());
  w.host.vmpl = Vmpl::vmpl1;
  EXPECT_FALSE(w.starter.start(1, w.vmsa).ok());
  EXPECT_TRUE(w.host.started.empty());
}

}  // namespace
}  // namespace softsnp::guest

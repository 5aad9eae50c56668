// arch/psp: names, TCB layouts, tweak bitmap. Sizes and offsets are asserted where they are
// declared.
#include <gtest/gtest.h>

#include "arch/psp/command.hpp"
#include "arch/psp/cpuid_page.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/id_block.hpp"
#include "arch/psp/platform_buffers.hpp"
#include "arch/psp/policy.hpp"
#include "arch/psp/secrets_page.hpp"
#include "arch/psp/status.hpp"
#include "arch/psp/tcb_version.hpp"

namespace softsnp::psp {
namespace {

TEST(ArchPsp, status_names) {
  EXPECT_STREQ(name(Status::success), "SUCCESS");
  EXPECT_EQ(number(Status::invalid_page_owner), 0x1C);
  EXPECT_EQ(number(Status::rmp_init_required), 0x20);
  EXPECT_STREQ(name(Status::shutdown_incomplete), "SHUTDOWN_INCOMPLETE");
  EXPECT_STREQ(name(static_cast<Status>(0x1E)), "unknown status");
  EXPECT_STREQ(name(static_cast<Status>(0x5A)), "INVALID_PAGE_STATE (command buffer)");
}

TEST(ArchPsp, command_names) {
  EXPECT_STREQ(name(static_cast<Command>(0xA1)), "SNP_LAUNCH_UPDATE");
  EXPECT_STREQ(name(static_cast<Command>(0x04)), "PLATFORM_STATUS");
  EXPECT_STREQ(name(static_cast<Command>(0x87)), "unknown command");
}

TEST(ArchPsp, tcb_layouts) {
  const TcbComponents genoa{0, 0x0A, 0x01, 0x17, 0x54};
  EXPECT_EQ(encode_tcb(Product::genoa, genoa), (TcbVersion{{0x0A, 1, 0, 0, 0, 0, 0x17, 0x54}}));
  EXPECT_EQ(encode_tcb(Product::milan, genoa), encode_tcb(Product::genoa, genoa));
  const TcbComponents turin{1, 2, 3, 4, 5};
  EXPECT_EQ(encode_tcb(Product::turin, turin), (TcbVersion{{1, 2, 3, 4, 0, 0, 0, 5}}));
  for (const Product product : {Product::milan, Product::genoa}) {
    EXPECT_EQ(decode_tcb(product, encode_tcb(product, genoa)), genoa);
  }
  EXPECT_EQ(decode_tcb(Product::turin, encode_tcb(Product::turin, turin)), turin);
  EXPECT_EQ(tcb_order({0, 1, 2, 3, 4}), 0x01020304u);
}

}  // namespace
}  // namespace softsnp::psp

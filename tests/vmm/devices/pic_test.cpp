#include "vmm/devices/pic.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"

namespace softsnp::devices::test {
namespace {

struct PicTest : testing::Test {
  RecordedLine intr;
  Pic pic{intr};

  // Linux init_8259A(): vectors 30h and 38h, normal EOI.
  void initialize(u8 master_icw4 = 1) {
    pic.write_byte(0x21, 0xFF);
    pic.write_byte(0x20, 0x11);
    pic.write_byte(0x21, 0x30);
    pic.write_byte(0x21, 4);
    pic.write_byte(0x21, master_icw4);
    pic.write_byte(0xA0, 0x11);
    pic.write_byte(0xA1, 0x38);
    pic.write_byte(0xA1, 2);
    pic.write_byte(0xA1, 1);
    pic.write_byte(0x21, 0);
    pic.write_byte(0xA1, 0);
  }
  void pulse(u8 irq) {
    pic.set_line(irq, Level::high);
    pic.set_line(irq, Level::low);
  }
};

TEST_F(PicTest, MaskReadsBackAsLinuxProbesIt) {
  pic.write_byte(0xA1, 0xFF);
  pic.write_byte(0x21, 0xFB);
  EXPECT_EQ(pic.read_byte(0x21), 0xFB);
  EXPECT_EQ(pic.read_byte(0xA1), 0xFF);
}

TEST_F(PicTest, NothingBeforeInitialization) {
  pulse(0);
  EXPECT_FALSE(pic.interrupt_pending());
  EXPECT_FALSE(intr.high());
}

TEST_F(PicTest, VectorsOfMasterAndSlave) {
  initialize();
  pulse(4);
  ASSERT_TRUE(intr.high());
  EXPECT_EQ(pic.acknowledge(), 0x34);
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x20, 0x64);  // specific EOI 4
  pulse(8);
  EXPECT_EQ(pic.acknowledge(), 0x38);
  pic.write_byte(0x20, 0x0B);
  EXPECT_EQ(pic.read_byte(0x20), 0x04) << "cascade in service";
  pic.write_byte(0xA0, 0x0B);
  EXPECT_EQ(pic.read_byte(0xA0), 0x01);
}

TEST_F(PicTest, HigherPriorityNestsLowerWaits) {
  initialize();
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x34);
  pulse(5);
  EXPECT_FALSE(intr.high());
  pulse(1);
  EXPECT_TRUE(intr.high());
  EXPECT_EQ(pic.acknowledge(), 0x31);
  pic.write_byte(0x20, 0x20);  // non-specific: ends 1
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x20, 0x20);  // ends 4
  EXPECT_TRUE(intr.high());
  EXPECT_EQ(pic.acknowledge(), 0x35);
}

TEST_F(PicTest, SlaveInputsRankBetween1And3) {
  initialize();
  pulse(3);
  pulse(10);
  EXPECT_EQ(pic.acknowledge(), 0x3A);
  pulse(9);
  EXPECT_FALSE(intr.high()) << "not fully nested through the cascade";
  pic.write_byte(0xA0, 0x20);
  pic.write_byte(0x20, 0x20);
  EXPECT_EQ(pic.acknowledge(), 0x39);
}

TEST_F(PicTest, MaskedRequestWaits) {
  initialize();
  pic.write_byte(0x21, 0x10);
  pulse(4);
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x21, 0);
  EXPECT_TRUE(intr.high());
}

TEST_F(PicTest, SpuriousVectorWhenTheRequestHasGone) {
  initialize();
  pic.write_byte(0x4D0, 0x20);
  pic.set_line(5, Level::high);
  ASSERT_TRUE(intr.high());
  pic.set_line(5, Level::low);
  EXPECT_EQ(pic.acknowledge(), 0x37);
  pic.write_byte(0x20, 0x0B);
  EXPECT_EQ(pic.read_byte(0x20), 0) << "spurious interrupts are not in service";
}

TEST_F(PicTest, LevelRequestsComeBackAfterEoi) {
  initialize();
  pic.write_byte(0x4D0, 0xFF);
  EXPECT_EQ(pic.read_byte(0x4D0), 0xF8) << "0, 1 and 2 are edges for ever";
  pic.set_line(5, Level::high);
  EXPECT_EQ(pic.acknowledge(), 0x35);
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x20, 0x20);
  EXPECT_TRUE(intr.high());
  pic.set_line(5, Level::low);
  EXPECT_FALSE(intr.high());
}

TEST_F(PicTest, EdgeNeedsALowFirst) {
  initialize();
  pic.set_line(6, Level::high);
  EXPECT_EQ(pic.acknowledge(), 0x36);
  pic.write_byte(0x20, 0x20);
  pic.set_line(6, Level::high);
  EXPECT_FALSE(intr.high());
}

TEST_F(PicTest, AutomaticEoi) {
  initialize(3);
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x30);
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x30);
}

TEST_F(PicTest, RotationMovesTheLowestPriority) {
  initialize();
  pic.write_byte(0x20, 0xC4);  // lowest is 4, so 5 leads
  pulse(0);
  pulse(5);
  EXPECT_EQ(pic.acknowledge(), 0x35);
}

TEST_F(PicTest, SpecialMaskModeLetsLowerOnesThrough) {
  initialize();
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x31);
  pulse(4);
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x21, 0x02);
  pic.write_byte(0x20, 0x68);
  EXPECT_TRUE(intr.high());
  EXPECT_EQ(pic.acknowledge(), 0x34);
}

TEST_F(PicTest, PollAcknowledges) {
  initialize();
  pulse(3);
  pic.write_byte(0x20, 0x0C);
  EXPECT_EQ(pic.read_byte(0x20), 0x83);
  EXPECT_FALSE(intr.high());
  pic.write_byte(0x20, 0x0C);
  EXPECT_EQ(pic.read_byte(0x20), 0);
}

}  // namespace
}  // namespace softsnp::devices::test

#include "vmm/devices/ioapic.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"

namespace softsnp::devices::test {
namespace {

constexpr u32 masked = 1u << 16, level = 1u << 15, remote_irr = 1u << 14;

struct IoapicTest : testing::Test {
  RecordedMessages messages;
  Ioapic ioapic{messages};

  u32 read(u8 index) {
    ioapic.write(0, index);
    return ioapic.read(0x10);
  }
  void write(u8 index, u32 value) {
    ioapic.write(0, index);
    ioapic.write(0x10, value);
  }
  void redirect(u8 pin, u32 low, u8 destination = 0) {
    write(static_cast<u8>(0x11 + 2 * pin), u32{destination} << 24);
    write(static_cast<u8>(0x10 + 2 * pin), low);
  }
  u32 low_word(u8 pin) { return read(static_cast<u8>(0x10 + 2 * pin)); }
};

TEST_F(IoapicTest, Identity) {
  EXPECT_EQ(read(1), 0x00170020u);
  write(0, 0x05000000);
  EXPECT_EQ(read(0), 0x05000000u);
  for (u8 pin = 0; pin < 24; ++pin) {
    EXPECT_EQ(low_word(pin), masked);
  }
  EXPECT_EQ(read(0x40), 0u);
}

TEST_F(IoapicTest, EdgeIsDeliveredOnceARise) {
  redirect(4, 0x31, 1);
  ioapic.set_line(4, Level::high);
  ioapic.set_line(4, Level::high);
  ASSERT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(messages.sent[0], (std::pair<u64, u32>(0xFEE01000, 0x31)));
  ioapic.set_line(4, Level::low);
  ioapic.set_line(4, Level::high);
  EXPECT_EQ(messages.sent.size(), 2u);
  EXPECT_TRUE(ioapic.level_vectors().empty());
}

TEST_F(IoapicTest, EdgeOnAMaskedInputIsLost) {
  redirect(4, masked | 0x31);
  ioapic.set_line(4, Level::high);
  redirect(4, 0x31);
  EXPECT_TRUE(messages.sent.empty());
}

TEST_F(IoapicTest, LevelWaitsForTheEoi) {
  redirect(9, level | 0x42);
  EXPECT_EQ(ioapic.level_vectors(), std::vector<u8>{0x42});
  ioapic.set_line(9, Level::high);
  ASSERT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(messages.sent[0].second, 0x42u | 1 << 15 | 1 << 14);
  EXPECT_TRUE(low_word(9) & remote_irr);
  ioapic.set_line(9, Level::low);
  ioapic.set_line(9, Level::high);
  EXPECT_EQ(messages.sent.size(), 1u);
  ioapic.end_of_interrupt(0x42);
  EXPECT_EQ(messages.sent.size(), 2u) << "still asserted: again";
  ioapic.set_line(9, Level::low);
  ioapic.end_of_interrupt(0x42);
  EXPECT_EQ(messages.sent.size(), 2u);
  EXPECT_FALSE(low_word(9) & remote_irr);
}

TEST_F(IoapicTest, EoiOfAnotherVectorChangesNothing) {
  redirect(9, level | 0x42);
  ioapic.set_line(9, Level::high);
  ioapic.end_of_interrupt(0x43);
  EXPECT_TRUE(low_word(9) & remote_irr);
  ioapic.write(0x40, 0x42);  // the EOI register
  EXPECT_EQ(messages.sent.size(), 2u);
}

TEST_F(IoapicTest, LevelAssertedWhileMaskedArrivesOnUnmasking) {
  redirect(9, masked | level | 0x42);
  ioapic.set_line(9, Level::high);
  EXPECT_TRUE(messages.sent.empty());
  redirect(9, level | 0x42);
  EXPECT_EQ(messages.sent.size(), 1u);
}

TEST_F(IoapicTest, RemoteIrrIsReadOnlyAndDiesWithLevelMode) {
  redirect(9, level | remote_irr | 0x42);
  EXPECT_FALSE(low_word(9) & remote_irr);
  ioapic.set_line(9, Level::high);
  redirect(9, masked | 0x42);
  EXPECT_FALSE(low_word(9) & remote_irr);
}

TEST_F(IoapicTest, LogicalDestinationAndDeliveryMode) {
  redirect(1, 1u << 11 | 1u << 8 | 0x55, 0xFF);
  ioapic.set_line(1, Level::high);
  ASSERT_EQ(messages.sent.size(), 1u);
  EXPECT_EQ(messages.sent[0], (std::pair<u64, u32>(0xFEEFF004, 0x155)));
}

TEST_F(IoapicTest, InputsThatDoNotExist) {
  ioapic.set_line(24, Level::high);
  ioapic.set_line(255, Level::high);
  EXPECT_EQ(ioapic.state().lines, 0u);
}

}  // namespace
}  // namespace softsnp::devices::test

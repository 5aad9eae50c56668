#include "vmm/devices/rtc.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"
#include "vmm/devices/calendar.hpp"

namespace softsnp::devices::test {
namespace {

constexpr i64 epoch = 1'709'164'799;  // 2024-02-28 23:59:59, a Wednesday

struct RtcTest : testing::Test {
  RecordedLine line;
  HandClock clock;
  Rtc rtc{line, clock, epoch};

  u8 read(u8 index) {
    rtc.write_byte(0x70, index);
    return rtc.read_byte(0x71);
  }
  void write(u8 index, u8 value) {
    rtc.write_byte(0x70, index);
    rtc.write_byte(0x71, value);
  }
};

TEST_F(RtcTest, ReadsTheEpochInBcd) {
  EXPECT_EQ(read(0), 0x59);
  EXPECT_EQ(read(2), 0x59);
  EXPECT_EQ(read(4), 0x23);
  EXPECT_EQ(read(6), 4);
  EXPECT_EQ(read(7), 0x28);
  EXPECT_EQ(read(8), 0x02);
  EXPECT_EQ(read(9), 0x24);
  EXPECT_EQ(read(0x32), 0x20);
}

TEST_F(RtcTest, LeapDayComesAfterMidnight) {
  clock.add_seconds(1);
  EXPECT_EQ(read(0), 0);
  EXPECT_EQ(read(4), 0);
  EXPECT_EQ(read(7), 0x29);
  EXPECT_EQ(read(8), 0x02);
  clock.add_seconds(86400);
  EXPECT_EQ(read(7), 0x01);
  EXPECT_EQ(read(8), 0x03);
}

TEST_F(RtcTest, UpdateInProgressNeverShows) {
  for (unsigned i = 0; i < 2000; ++i) {
    clock.add_microseconds(997);
    ASSERT_EQ(read(0x0A) & 0x80, 0);
  }
  write(0x0A, 0xA6);
  EXPECT_EQ(read(0x0A), 0x26);
  EXPECT_EQ(read(0x0D), 0x80);
}

TEST_F(RtcTest, BinaryAndTwelveHours) {
  write(0x0B, 0x06);
  EXPECT_EQ(read(0), 59);
  EXPECT_EQ(read(4), 23);
  write(0x0B, 0x04);
  EXPECT_EQ(read(4), 0x80 | 11);
  clock.add_seconds(1);
  EXPECT_EQ(read(4), 12);
}

TEST_F(RtcTest, SettingTheTimeAsLinuxDoes) {
  write(0x0B, 0x82);
  write(9, 0x31);
  write(8, 0x12);
  write(7, 0x31);
  write(4, 0x23);
  write(2, 0x59);
  write(0, 0x58);
  clock.add_seconds(5);
  EXPECT_EQ(read(0), 0x58) << "SET holds the time";
  write(0x0B, 0x02);
  clock.add_seconds(2);
  EXPECT_EQ(read(9), 0x32);
  EXPECT_EQ(read(8), 0x01);
  EXPECT_EQ(read(7), 0x01);
}

TEST_F(RtcTest, UpdateInterruptEachSecond) {
  write(0x0B, 0x12);
  EXPECT_EQ(rtc.next_event(), clock.hz);
  clock.add_seconds(1);
  rtc.advance();
  EXPECT_TRUE(line.high());
  EXPECT_EQ(read(0x0C) & 0x90, 0x90);
  EXPECT_FALSE(line.high());
  EXPECT_EQ(read(0x0C), 0);
}

TEST_F(RtcTest, AlarmWithWildcards) {
  write(1, 0x03);
  write(3, 0xFF);
  write(5, 0xFF);
  write(0x0B, 0x22);
  for (unsigned second = 1; second <= 3; ++second) {
    clock.add_seconds(1);
    rtc.advance();
    EXPECT_FALSE(line.high()) << second;
  }
  clock.add_seconds(1);
  rtc.advance();
  EXPECT_TRUE(line.high());
}

TEST_F(RtcTest, PeriodicInterruptAtTheChosenRate) {
  write(0x0A, 0x26);  // 1024 Hz
  write(0x0B, 0x42);
  unsigned interrupts = 0;
  for (u64 due = rtc.next_event(); due <= clock.hz; due = rtc.next_event()) {
    clock.ticks = due;
    rtc.advance();
    interrupts += line.high() ? 1 : 0;
    read(0x0C);
  }
  EXPECT_EQ(interrupts, 1024u);
}

TEST_F(RtcTest, RamKeepsWhatLinuxStores) {
  write(0x0F, 0x0A);
  EXPECT_EQ(read(0x0F), 0x0A);
  rtc.write_byte(0x70, 0x80 | 0x7F);  // bit 7 is the NMI mask
  rtc.write_byte(0x71, 0x77);
  EXPECT_EQ(read(0x7F), 0x77);
  EXPECT_EQ(rtc.read_byte(0x70), 0xFF);
}

TEST_F(RtcTest, NonsenseTimesAreSomeTime) {
  write(8, 0xFF);
  write(7, 0x00);
  write(4, 0xFF);
  write(0, 0xEE);
  EXPECT_LE(read(0), 0x59);
  EXPECT_LE(read(8), 0x12);
}

TEST(Calendar, DaysAndDatesAgreeForCenturies) {
  i64 days = days_from_date({1890, 1, 1});
  for (; days < days_from_date({2210, 1, 1}); ++days) {
    const Date date = date_from_days(days);
    ASSERT_EQ(days_from_date(date), days);
  }
  EXPECT_EQ(days_from_date({1970, 1, 1}), 0);
  EXPECT_EQ(day_of_week(0), 5u);
  EXPECT_EQ(day_of_week(days_from_date({2026, 1, 4})), 1u);
}

}  // namespace
}  // namespace softsnp::devices::test

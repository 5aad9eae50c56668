#include "vmm/devices/pit.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"

namespace softsnp::devices::test {
namespace {

// A clock that counts the PIT's own ticks, so that expectations are exact.
struct PitTest : testing::Test {
  PitTest() { clock.hz = Pit::input_hz; }
  RecordedLine line;
  HandClock clock;
  Pit pit{line, clock};

  void program(unsigned channel, unsigned mode, u16 count) {
    pit.write_byte(0x43, static_cast<u8>(channel << 6 | 0x30 | mode << 1));
    pit.write_byte(static_cast<u16>(0x40 + channel), static_cast<u8>(count));
    pit.write_byte(static_cast<u16>(0x40 + channel), static_cast<u8>(count >> 8));
  }
  u16 read_latched(unsigned channel) {
    pit.write_byte(0x43, static_cast<u8>(channel << 6));
    const u16 port = static_cast<u16>(0x40 + channel);
    const u8 low = pit.read_byte(port);
    return static_cast<u16>(low | pit.read_byte(port) << 8);
  }
  bool out2() { return (pit.read_byte(0x61) & 0x20) != 0; }
};

TEST_F(PitTest, RateGeneratorInterruptsEachPeriod) {
  program(0, 2, 4772);  // 250 Hz, as Linux
  EXPECT_EQ(pit.next_event(), 4772u);
  const unsigned before = line.rising;
  for (unsigned period = 1; period <= 10; ++period) {
    clock.ticks = period * 4772u;
    pit.advance();
    EXPECT_EQ(line.rising - before, period);
    EXPECT_EQ(pit.next_event(), (period + 1) * 4772u);
  }
}

TEST_F(PitTest, MissedPeriodsAreOneInterrupt) {
  program(0, 2, 1000);
  const unsigned before = line.rising;
  clock.ticks = 10'500;
  pit.advance();
  pit.advance();
  EXPECT_EQ(line.rising - before, 1u);
}

TEST_F(PitTest, CountRunsDownAndReloads) {
  program(0, 2, 1000);
  EXPECT_EQ(read_latched(0), 1000);
  clock.ticks = 1;
  EXPECT_EQ(read_latched(0), 999);
  clock.ticks = 999;
  EXPECT_EQ(read_latched(0), 1);
  clock.ticks = 1000;
  EXPECT_EQ(read_latched(0), 1000);
}

TEST_F(PitTest, LatchHoldsUntilRead) {
  program(0, 2, 1000);
  clock.ticks = 100;
  pit.write_byte(0x43, 0);
  clock.ticks = 200;
  pit.write_byte(0x43, 0);  // a second latch is ignored
  EXPECT_EQ(pit.read_byte(0x40) | pit.read_byte(0x40) << 8, 900);
  EXPECT_EQ(pit.read_byte(0x40) | pit.read_byte(0x40) << 8, 800);
}

TEST_F(PitTest, OneShotRaisesTheLineOnceAtTerminalCount) {
  program(0, 0, 500);
  EXPECT_FALSE(line.high());
  EXPECT_EQ(pit.next_event(), 500u);
  clock.ticks = 499;
  pit.advance();
  EXPECT_FALSE(line.high());
  clock.ticks = 500;
  pit.advance();
  EXPECT_TRUE(line.high());
  EXPECT_EQ(pit.next_event(), 0u);
  clock.ticks = 501;
  EXPECT_EQ(read_latched(0), 0xFFFF) << "it wraps and counts on";
  program(0, 0, 10);
  EXPECT_FALSE(line.high()) << "a new count lowers the output";
}

// Linux quick_pit_calibrate(): channel 2 in mode 0 behind the gate, most significant byte falls.
TEST_F(PitTest, FastCalibrationSeesTheCountFall) {
  pit.write_byte(0x61, 1);
  program(2, 0, 0xFFFF);
  clock.ticks = 0x180;
  EXPECT_EQ(pit.read_byte(0x42), 0x7F);
  EXPECT_EQ(pit.read_byte(0x42), 0xFE);
}

// Linux pit_calibrate_tsc(): wait for OUT2 through port 61.
TEST_F(PitTest, Channel2OutputInPortB) {
  pit.write_byte(0x61, 1);
  program(2, 0, 0x2E9B);
  EXPECT_FALSE(out2());
  clock.ticks = 0x2E9A;
  EXPECT_FALSE(out2());
  clock.ticks = 0x2E9B;
  EXPECT_TRUE(out2());
}

TEST_F(PitTest, GateStopsAndResumesModeZero) {
  pit.write_byte(0x61, 1);
  program(2, 0, 1000);
  clock.ticks = 300;
  pit.write_byte(0x61, 0);
  clock.ticks = 5000;
  EXPECT_EQ(read_latched(2), 700);
  pit.write_byte(0x61, 1);
  clock.ticks = 5100;
  EXPECT_EQ(read_latched(2), 600);
}

TEST_F(PitTest, GateTriggersModeOne) {
  program(2, 1, 100);
  EXPECT_TRUE(out2());
  pit.write_byte(0x61, 1);
  EXPECT_FALSE(out2());
  clock.ticks = 100;
  EXPECT_TRUE(out2());
}

TEST_F(PitTest, SquareWaveIsHighForTheLongerHalf) {
  pit.write_byte(0x61, 1);
  program(2, 3, 5);
  const bool expected[] = {true, true, true, false, false, true, true, true, false, false};
  for (const bool high : expected) {
    EXPECT_EQ(out2(), high) << "tick " << clock.ticks;
    ++clock.ticks;
  }
}

TEST_F(PitTest, ReadBackLatchesStatusThenCount) {
  program(0, 2, 1000);
  clock.ticks = 10;
  pit.write_byte(0x43, 0xC2);
  EXPECT_EQ(pit.read_byte(0x40), 0x80 | 0x30 | 2 << 1);
  EXPECT_EQ(pit.read_byte(0x40) | pit.read_byte(0x40) << 8, 990);
  pit.write_byte(0x43, 0x34);
  pit.write_byte(0x43, 0xE2);
  EXPECT_EQ(pit.read_byte(0x40) & 0x40, 0x40) << "null count before the count is written";
}

TEST_F(PitTest, BcdCounts) {
  pit.write_byte(0x43, 0x35);
  pit.write_byte(0x40, 0x00);
  pit.write_byte(0x40, 0x10);  // 1000
  clock.ticks = 1;
  EXPECT_EQ(read_latched(0), 0x0999);
}

TEST_F(PitTest, EventTimesRoundTripThroughAnOddClock) {
  clock.hz = 999'999'937;
  program(0, 2, 4772);
  for (unsigned i = 0; i < 1000; ++i) {
    const unsigned before = line.rising;
    const u64 due = pit.next_event();
    clock.ticks = due - 1;
    pit.advance();
    ASSERT_EQ(line.rising, before);
    clock.ticks = due;
    pit.advance();
    ASSERT_EQ(line.rising, before + 1);
  }
}

}  // namespace
}  // namespace softsnp::devices::test

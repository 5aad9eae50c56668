#include "vmm/devices/uart.hpp"

#include <gtest/gtest.h>

#include "tests/vmm/devices/fakes.hpp"

namespace softsnp::devices::test {
namespace {

constexpr u16 base = 0x3F8, rbr = base, thr = base, ier = base + 1, iir = base + 2, fcr = base + 2,
              lcr = base + 3, mcr = base + 4, lsr = base + 5, msr = base + 6, scr = base + 7;
constexpr u8 mcr_out2 = 8, iir_none = 0xC1, iir_transmitter = 0xC2, iir_received = 0xC4,
             iir_timeout = 0xCC, iir_line_status = 0xC6;

struct UartTest : testing::Test {
  RecordedLine line;
  RecordedOutput output;
  HandClock clock;
  Uart uart{base, line, output, clock};
  void open(u8 interrupts, u8 trigger = 0) {
    uart.write_byte(fcr, static_cast<u8>(1 | trigger));
    uart.write_byte(mcr, mcr_out2);
    uart.write_byte(ier, interrupts);
  }
};

// The steps of Linux 8250 autoconfig(), in its order (linux-boot sheet 4.6).
TEST_F(UartTest, LinuxFindsA16550A) {
  uart.write_byte(ier, 0);
  EXPECT_EQ(uart.read_byte(ier) & 0x0F, 0);
  uart.write_byte(ier, 0x0F);
  EXPECT_EQ(uart.read_byte(ier), 0x0F);
  uart.write_byte(ier, 0);
  uart.write_byte(mcr, 0x10 | 0x0A);  // loop-back with RTS and OUT2
  EXPECT_EQ(uart.read_byte(msr) & 0xF0, 0x90);
  uart.write_byte(mcr, 0);
  uart.write_byte(fcr, 1);
  EXPECT_EQ(uart.read_byte(iir) >> 6, 3);
  uart.write_byte(scr, 0xA5);
  EXPECT_EQ(uart.read_byte(scr), 0xA5);
  uart.write_byte(ier, 0x40);  // the XScale unit enable must not stick
  EXPECT_EQ(uart.read_byte(ier), 0);
  uart.write_byte(fcr, 0x21);  // nor the TI16750's 64-byte FIFO
  EXPECT_EQ(uart.read_byte(iir) & 0xE0, 0xC0);
}

TEST_F(UartTest, DivisorLatchHidesBehindDlab) {
  uart.write_byte(lcr, 0x83);
  uart.write_byte(base, 0x34);
  uart.write_byte(base + 1, 0x12);
  EXPECT_EQ(uart.read_byte(base), 0x34);
  EXPECT_EQ(uart.read_byte(base + 1), 0x12);
  uart.write_byte(lcr, 3);
  EXPECT_EQ(uart.read_byte(ier), 0);
  EXPECT_TRUE(output.bytes.empty());
  EXPECT_EQ(uart.state().divisor, 0x1234);
}

TEST_F(UartTest, OutputAppearsAndTheTransmitterStaysEmpty) {
  for (const char c : {'o', 'k'}) {
    EXPECT_EQ(uart.read_byte(lsr), 0x60);
    uart.write_byte(thr, static_cast<u8>(c));
  }
  EXPECT_EQ(output.bytes, (std::vector<u8>{'o', 'k'}));
}

TEST_F(UartTest, EnablingThriWithAnEmptyTransmitterInterrupts) {
  open(0);
  EXPECT_FALSE(line.high());
  uart.write_byte(ier, 2);
  EXPECT_TRUE(line.high());
  EXPECT_EQ(uart.read_byte(iir), iir_transmitter);
  EXPECT_FALSE(line.high()) << "reading IIR acknowledges it";
  EXPECT_EQ(uart.read_byte(iir), iir_none);
  uart.write_byte(thr, 'x');
  EXPECT_TRUE(line.high()) << "empty again";
  uart.write_byte(ier, 0);
  EXPECT_FALSE(line.high());
}

TEST_F(UartTest, TheLineNeedsOut2) {
  open(0);
  uart.write_byte(mcr, 0);
  uart.write_byte(ier, 2);
  EXPECT_FALSE(line.high());
  uart.write_byte(mcr, mcr_out2);
  EXPECT_TRUE(line.high());
}

TEST_F(UartTest, ReceiveInterruptAtTheTriggerLevel) {
  open(1, 0x40);  // four characters
  for (u8 c = 1; c <= 3; ++c) {
    uart.receive(c);
    EXPECT_FALSE(line.high());
  }
  uart.receive(4);
  EXPECT_TRUE(line.high());
  EXPECT_EQ(uart.read_byte(iir), iir_received);
  for (u8 c = 1; c <= 4; ++c) {
    EXPECT_EQ(uart.read_byte(lsr) & 1, 1);
    EXPECT_EQ(uart.read_byte(rbr), c);
  }
  EXPECT_EQ(uart.read_byte(lsr) & 1, 0);
  EXPECT_FALSE(line.high());
}

TEST_F(UartTest, ALonelyCharacterTimesOut) {
  open(1, 0x80);
  uart.write_byte(lcr, 0x83);
  uart.write_byte(base, 1);  // 115200 baud
  uart.write_byte(base + 1, 0);
  uart.write_byte(lcr, 0x03);
  uart.receive('a');
  EXPECT_FALSE(line.high());
  const u64 due = uart.next_event();
  // Four characters of ten bits: 347.2 microseconds.
  EXPECT_NEAR(static_cast<double>(due), 347'222, 2);
  clock.ticks = due - 1;
  uart.advance();
  EXPECT_FALSE(line.high());
  clock.ticks = due;
  uart.advance();
  EXPECT_TRUE(line.high());
  EXPECT_EQ(uart.read_byte(iir), iir_timeout);
  EXPECT_EQ(uart.read_byte(rbr), 'a');
  EXPECT_FALSE(line.high());
  EXPECT_EQ(uart.next_event(), 0u);
}

TEST_F(UartTest, OverrunIsReportedOnce) {
  open(4);
  for (unsigned i = 0; i < 17; ++i) {
    uart.receive(static_cast<u8>(i));
  }
  EXPECT_EQ(uart.room(), 0);
  EXPECT_EQ(uart.read_byte(iir), iir_line_status);
  EXPECT_EQ(uart.read_byte(lsr) & 2, 2);
  EXPECT_EQ(uart.read_byte(lsr) & 2, 0);
  EXPECT_EQ(uart.read_byte(rbr), 0) << "the FIFO keeps its oldest";
}

TEST_F(UartTest, WithoutFifoOneCharacterFits) {
  EXPECT_EQ(uart.room(), 1);
  uart.receive('a');
  EXPECT_EQ(uart.room(), 0);
  uart.write_byte(fcr, 1);
  EXPECT_EQ(uart.room(), 16) << "switching the FIFO empties it";
}

TEST_F(UartTest, LoopBackReturnsCharactersAndSendsNone) {
  uart.write_byte(mcr, 0x10);
  uart.write_byte(thr, 0x5A);
  EXPECT_EQ(uart.read_byte(rbr), 0x5A);
  EXPECT_TRUE(output.bytes.empty());
}

TEST_F(UartTest, ModemDeltasInterruptAndClear) {
  open(8);
  EXPECT_FALSE(line.high());
  uart.write_byte(mcr, 0x10);      // CTS, DSR, DCD fall
  uart.write_byte(mcr, mcr_out2);  // and rise
  EXPECT_TRUE(line.high());
  EXPECT_EQ(uart.read_byte(msr), 0xBB);
  EXPECT_EQ(uart.read_byte(msr), 0xB0);
  EXPECT_FALSE(line.high());
}

TEST_F(UartTest, StateIsAValue) {
  open(3);
  uart.receive('q');
  const Uart::State saved = uart.state();
  uart.read_byte(rbr);
  EXPECT_NE(saved, uart.state());
  uart.restore(saved);
  EXPECT_EQ(uart.read_byte(rbr), 'q');
}

}  // namespace
}  // namespace softsnp::devices::test

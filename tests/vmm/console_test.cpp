#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "vmm/escape_keys.hpp"
#include "vmm/file_descriptor.hpp"
#include "vmm/pipe_console.hpp"
#include "vmm/stop_signals.hpp"
#include "vmm/terminal_console.hpp"

namespace softsnp::vmm::test {
namespace {

using Meaning = EscapeKeys::Meaning;
constexpr std::chrono::milliseconds soon{500};

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends.data()), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void write(std::string_view text) {
    EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void close_writer() {
    if (ends[1] >= 0) {
      ::close(ends[1]);
      ends[1] = -1;
    }
  }
  std::string read() {
    std::array<u8, 256> buffer;
    const ReadResult got = read_some(ends[0], buffer, soon);
    return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got.count)};
  }
  std::array<int, 2> ends{-1, -1};
};

struct Terminal {
  Terminal() { EXPECT_EQ(::openpty(&user, &program, nullptr, nullptr, nullptr), 0); }
  ~Terminal() {
    ::close(user);
    ::close(program);
  }
  tcflag_t local_flags() const {
    termios mode{};
    ::tcgetattr(program, &mode);
    return mode.c_lflag;
  }
  int user = -1, program = -1;
};

TEST(EscapeKeys, CommandsAfterCtrlA) {
  EscapeKeys keys;
  EXPECT_EQ(keys.typed('x'), Meaning::input);
  EXPECT_EQ(keys.typed(1), Meaning::nothing);
  EXPECT_EQ(keys.typed('x'), Meaning::quit);
  EXPECT_EQ(keys.typed(1), Meaning::nothing);
  EXPECT_EQ(keys.typed('h'), Meaning::help);
  EXPECT_EQ(keys.typed(1), Meaning::nothing);
  EXPECT_EQ(keys.typed(1), Meaning::input);
  EXPECT_EQ(keys.typed(1), Meaning::nothing);
  EXPECT_EQ(keys.typed('z'), Meaning::nothing);
  EXPECT_EQ(keys.typed(3), Meaning::input) << "Ctrl-C is the guest's";
}

TEST(PipeConsole, DeliversInputThenItsEnd) {
  Pipe in, out;
  PipeConsole console(in.ends[0], out.ends[1], out.ends[1]);
  EXPECT_TRUE(console.poll(std::chrono::milliseconds(0)).bytes.empty());
  EXPECT_FALSE(console.ended());
  in.write("ls\n");
  EXPECT_EQ(console.poll(soon).bytes, (std::vector<u8>{'l', 's', '\n'}));
  in.close_writer();
  EXPECT_TRUE(console.poll(soon).bytes.empty());
  EXPECT_TRUE(console.ended());
  const u8 text[] = {'o', 'k'};
  console.write(text);
  EXPECT_EQ(out.read(), "ok");
}

TEST(PipeConsole, ClosedInputIsAnEnd) {
  PipeConsole console(-1, 1, 2);
  console.poll(std::chrono::milliseconds(0));
  // poll() ignores a negative descriptor; a closed one is reported.
  const int closed = ::dup(0);
  ::close(closed);
  PipeConsole other(closed, 1, 2);
  other.poll(std::chrono::milliseconds(0));
  EXPECT_TRUE(other.ended());
}

TEST(PipeConsole, SurvivesAReaderThatLeft) {
  StopSignals signals;  // blocks SIGPIPE, as a run does
  Pipe in, out;
  PipeConsole console(in.ends[0], out.ends[1], 2);
  ::close(out.ends[0]);
  const u8 text[] = {'o', 'k'};
  console.write(text);
  console.write(text);
  EXPECT_FALSE(console.ended());
  out.ends[0] = ::dup(0);
}

TEST(TerminalConsole, RawWhileItLivesAndRestoredAfter) {
  Terminal terminal;
  const tcflag_t before = terminal.local_flags();
  {
    TerminalConsole console(terminal.program, terminal.program, terminal.program);
    EXPECT_EQ(terminal.local_flags() & (ECHO | ICANON | ISIG), 0u);
    EXPECT_TRUE(console.interactive());
  }
  EXPECT_EQ(terminal.local_flags(), before);
  EXPECT_NE(before & ECHO, 0u);
}

TEST(TerminalConsole, TypedBytesAndQuit) {
  Terminal terminal;
  TerminalConsole console(terminal.program, terminal.program, terminal.program);
  ASSERT_EQ(::write(terminal.user, "a\x03\x01x", 4), 4);
  const ConsoleInput input = console.poll(soon);
  EXPECT_EQ(input.bytes, (std::vector<u8>{'a', 3}));
  EXPECT_TRUE(input.quit);
}

TEST(TerminalConsole, HangUpLeaves) {
  Terminal terminal;
  TerminalConsole console(terminal.program, terminal.program, terminal.program);
  ::close(terminal.user);
  EXPECT_TRUE(console.poll(soon).quit);
  terminal.user = ::dup(0);
}

TEST(StopSignals, SignalsArriveAsData) {
  StopSignals signals;
  EXPECT_FALSE(signals.stop_requested());
  ::raise(SIGTERM);
  ::raise(SIGINT);
  const auto first = signals.stop_requested();
  const auto second = signals.stop_requested();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first + *second, SIGTERM + SIGINT);
  EXPECT_FALSE(signals.stop_requested());
}

}  // namespace
}  // namespace softsnp::vmm::test

#include "vmm/terminal_console.hpp"

#include <array>
#include <string>

#include "vmm/file_descriptor.hpp"

namespace softsnp::vmm {
namespace {

// Every key goes to the guest, Ctrl-C included. Output processing stays on: a lone newline, from
// the guest or from us, must not leave a staircase.
termios raw_mode(termios mode) {
  mode.c_iflag &=
      ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
  mode.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB);
  mode.c_cflag |= CS8;
  mode.c_cc[VMIN] = 1;
  mode.c_cc[VTIME] = 0;
  return mode;
}

}  // namespace

TerminalConsole::TerminalConsole(int input, int output, int notices)
    : input_(input), output_(output), notices_(notices) {
  if (::tcgetattr(input_, &saved_) == 0) {
    const termios raw = raw_mode(saved_);
    raw_ = ::tcsetattr(input_, TCSADRAIN, &raw) == 0;
  }
}

TerminalConsole::~TerminalConsole() {
  if (raw_) {
    ::tcsetattr(input_, TCSADRAIN, &saved_);
  }
}

void TerminalConsole::write(std::span<const u8> bytes) {
  ended_ = !write_all(output_, bytes) || ended_;
}

void TerminalConsole::notice(std::string_view line) {
  const std::string text = "\r\nsoftsnp: " + std::string(line) + "\r\n";
  write_all(notices_, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

ConsoleInput TerminalConsole::poll(std::chrono::milliseconds wait) {
  ConsoleInput result;
  std::array<u8, 256> buffer;
  const ReadResult got = read_some(input_, buffer, wait);
  // A terminal that has gone away (hang-up) is a user that left.
  ended_ = ended_ || got.status == ReadStatus::end;
  result.quit = got.status == ReadStatus::end;
  for (usize i = 0; i < got.count; ++i) {
    switch (keys_.typed(buffer[i])) {
      case EscapeKeys::Meaning::input:
        result.bytes.push_back(buffer[i]);
        break;
      case EscapeKeys::Meaning::quit:
        result.quit = true;
        return result;
      case EscapeKeys::Meaning::help:
        notice("Ctrl-A X leaves, Ctrl-A H shows this, Ctrl-A Ctrl-A sends Ctrl-A");
        break;
      case EscapeKeys::Meaning::nothing:
        break;
    }
  }
  return result;
}

}  // namespace softsnp::vmm

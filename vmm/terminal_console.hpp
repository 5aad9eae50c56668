// The console on a terminal: raw mode while it lives, Ctrl-A commands.
#pragma once

#include <termios.h>

#include "vmm/console.hpp"
#include "vmm/escape_keys.hpp"

namespace softsnp::vmm {

class TerminalConsole final : public Console {
 public:
  // input must be a terminal. Its mode is changed now and restored by the destructor.
  TerminalConsole(int input, int output, int notices);
  ~TerminalConsole() override;
  TerminalConsole(const TerminalConsole&) = delete;
  TerminalConsole& operator=(const TerminalConsole&) = delete;

  void write(std::span<const u8> bytes) override;
  ConsoleInput poll(std::chrono::milliseconds wait) override;
  bool interactive() const override { return true; }
  bool ended() const override { return ended_; }
  void notice(std::string_view line) override;

 private:
  int input_;
  int output_;
  int notices_;
  termios saved_{};
  bool raw_ = false;
  bool ended_ = false;
  EscapeKeys keys_;
};

}  // namespace softsnp::vmm

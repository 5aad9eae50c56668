// The console without a terminal: a file, a pipe or nothing on standard input.
#pragma once

#include "vmm/console.hpp"

namespace softsnp::vmm {

class PipeConsole final : public Console {
 public:
  PipeConsole(int input, int output, int notices)
      : input_(input), output_(output), notices_(notices) {}

  void write(std::span<const u8> bytes) override;
  ConsoleInput poll(std::chrono::milliseconds wait) override;
  bool interactive() const override { return false; }
  bool ended() const override { return ended_; }
  void notice(std::string_view line) override;

 private:
  int input_;
  int output_;
  int notices_;
  bool ended_ = false;
  bool output_open_ = true;
};

}  // namespace softsnp::vmm

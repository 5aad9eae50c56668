// Where the guest's serial port leads: characters out, characters in, and the user's wish to leave.
#pragma once

#include <chrono>
#include <span>
#include <string_view>
#include <vector>

#include "base/types.hpp"

namespace softsnp::vmm {

struct ConsoleInput {
  std::vector<u8> bytes;
  bool quit = false;  // the user left
};

class Console {
 public:
  virtual ~Console() = default;
  virtual void write(std::span<const u8> bytes) = 0;
  // Waits at most that long for input.
  virtual ConsoleInput poll(std::chrono::milliseconds wait) = 0;
  // A person sits there: input may come at any time, and virtual time should not outrun theirs.
  virtual bool interactive() const = 0;
  // No input will ever come again.
  virtual bool ended() const = 0;
  // A line from the VMM itself, not from the guest.
  virtual void notice(std::string_view line) = 0;
};

}  // namespace softsnp::vmm

// A line to COM1, by the GHCB itself: the SVSM handles no #VC.
#pragma once

#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::svsm {

class Console {
 public:
  explicit Console(guest::GhcbClient& client) : client_(client) {}
  Console& operator<<(const char* text);
  Console& operator<<(u64 value);  // decimal
  Console& hex(u64 value);

 private:
  void put(char c);
  guest::GhcbClient& client_;
};

}  // namespace softsnp::svsm

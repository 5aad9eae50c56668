#include "guest/vmpl0/console.hpp"

#include "arch/boot/platform.hpp"
#include "arch/svm/exit_code.hpp"

namespace softsnp::svsm {

// What the host does not print, nobody misses.
void Console::put(char c) {
  const guest::GhcbUse use(client_);
  client_.begin();
  client_.set(ghcb::field::rax, static_cast<u8>(c));
  constexpr u64 byte_out =
      u64{boot::platform::com1_port} << svm::ioio::port_shift | u64{1} << 4 | svm::ioio::addr64;
  (void)client_.call(number(svm::ExitCode::ioio), byte_out, 0);
}

Console& Console::operator<<(const char* text) {
  for (; *text != 0; ++text) {
    if (*text == '\n') {
      put('\r');
    }
    put(*text);
  }
  return *this;
}

Console& Console::operator<<(u64 value) {
  if (value >= 10) {
    *this << value / 10;
  }
  put(static_cast<char>('0' + value % 10));
  return *this;
}

Console& Console::hex(u64 value) {
  *this << "0x";
  unsigned shift = 60;
  while (shift != 0 && value >> shift == 0) {
    shift -= 4;
  }
  for (;; shift -= 4) {
    put("0123456789abcdef"[value >> shift & 0xF]);
    if (shift == 0) {
      return *this;
    }
  }
}

}  // namespace softsnp::svsm

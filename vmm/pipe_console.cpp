#include "vmm/pipe_console.hpp"

#include <array>
#include <string>

#include "vmm/file_descriptor.hpp"

namespace softsnp::vmm {

// A reader that went away does not stop the guest: what it does has effects besides its output.
void PipeConsole::write(std::span<const u8> bytes) {
  output_open_ = output_open_ && write_all(output_, bytes);
}

void PipeConsole::notice(std::string_view line) {
  const std::string text = "softsnp: " + std::string(line) + "\n";
  write_all(notices_, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

ConsoleInput PipeConsole::poll(std::chrono::milliseconds wait) {
  ConsoleInput result;
  if (ended_) {
    return result;
  }
  std::array<u8, 1024> buffer;
  const ReadResult got = read_some(input_, buffer, wait);
  ended_ = got.status == ReadStatus::end;
  result.bytes.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(got.count));
  return result;
}

}  // namespace softsnp::vmm

#include "vmm/file_descriptor.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace softsnp::vmm {

bool write_all(int descriptor, std::span<const u8> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written > 0) {
      bytes = bytes.subspan(static_cast<usize>(written));
    } else if (written < 0 && errno == EAGAIN) {
      pollfd ready{descriptor, POLLOUT, 0};
      ::poll(&ready, 1, 100);
    } else if (written < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

ReadResult read_some(int descriptor, std::span<u8> to, std::chrono::milliseconds wait) {
  pollfd ready{descriptor, POLLIN, 0};
  const int count = ::poll(&ready, 1, static_cast<int>(wait.count()));
  if (count == 0 || (count < 0 && errno == EINTR)) {
    return {};
  }
  if (count < 0 || (ready.revents & POLLNVAL)) {
    return {ReadStatus::end, 0};
  }
  const ssize_t got = ::read(descriptor, to.data(), to.size());
  if (got > 0) {
    return {ReadStatus::data, static_cast<usize>(got)};
  }
  const bool later = got < 0 && (errno == EAGAIN || errno == EINTR);
  return {later ? ReadStatus::nothing : ReadStatus::end, 0};
}

}  // namespace softsnp::vmm

#include "cli/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace softsnp::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(const std::string& path, int flags = O_RDONLY)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Failure<std::string> fail(const std::string& path, const std::string& problem) {
  return Failure{path + ": " + problem};
}

Failure<std::string> fail_errno(const std::string& path) {
  return fail(path, std::strerror(errno));
}

Failure<std::string> fail_size(const std::string& path, u64 limit) {
  return fail(path, "larger than the " + std::to_string(limit >> 20) + " MiB that fit");
}

}  // namespace

Result<std::vector<u8>, std::string> read_file(const std::string& path, u64 limit, Empty empty) {
  const Descriptor file(path);
  struct stat facts {};
  if (file.number() < 0 || ::fstat(file.number(), &facts) != 0) {
    return fail_errno(path);
  }
  if (S_ISDIR(facts.st_mode)) {
    return fail(path, "is a directory");
  }
  if (S_ISREG(facts.st_mode) && static_cast<u64>(facts.st_size) > limit) {
    return fail_size(path, limit);
  }
  // The size is a hint only: it may change, and a pipe has none.
  constexpr usize chunk = usize{1} << 20;
  std::vector<u8> bytes;
  bytes.reserve(S_ISREG(facts.st_mode) ? static_cast<usize>(facts.st_size) + 1 : chunk);
  for (;;) {
    const usize at = bytes.size();
    const usize room = bytes.capacity() > at ? bytes.capacity() - at : chunk;
    bytes.resize(at + room);
    const ssize_t got = ::read(file.number(), &bytes[at], room);
    bytes.resize(at + static_cast<usize>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno != EINTR) {
      return fail_errno(path);
    }
    if (bytes.size() > limit) {
      return fail_size(path, limit);
    }
    if (got == 0) {
      break;
    }
  }
  if (bytes.empty() && empty == Empty::refused) {
    return fail(path, "is empty");
  }
  return std::move(bytes);
}

Result<void, std::string> write_file(const std::string& path, std::span<const u8> bytes) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.number() < 0) {
    return fail_errno(path);
  }
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.number(), bytes.data(), bytes.size());
    if (put < 0 && errno != EINTR) {
      return fail_errno(path);
    }
    bytes = bytes.subspan(static_cast<usize>(std::max<ssize_t>(put, 0)));
  }
  return {};
}

}  // namespace softsnp::cli

#include "platform/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

namespace softsnp::platform {

namespace {

constexpr usize largest_file = 64 << 10;
constexpr unsigned others = 077;

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : number_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

Failure<std::string> fail(const std::string& path, std::string_view problem) {
  return Failure{fmt::format("{}: {}", path, problem)};
}
Failure<std::string> fail_errno(const std::string& path) {
  return fail(path, std::strerror(errno));
}

mode_t file_mode(Audience audience) {
  return audience == Audience::owner_only ? 0600 : 0644;
}

Done check_private(const std::string& path, const struct stat& facts, mode_t wanted) {
  if ((facts.st_mode & others) != 0) {
    return fail(path, fmt::format("mode {:04o} lets others in, expected {:04o}",
                                  facts.st_mode & 07777, wanted));
  }
  return {};
}

// Everything, but no more than one byte beyond the limit.
std::optional<std::string> read_all(int number) {
  std::string contents(largest_file + 1, '\0');
  usize at = 0;
  while (at < contents.size()) {
    const ssize_t got = ::read(number, &contents[at], contents.size() - at);
    if (got < 0 && errno != EINTR) {
      return std::nullopt;
    }
    if (got == 0) {
      break;
    }
    at += static_cast<usize>(std::max<ssize_t>(got, 0));
  }
  contents.resize(at);
  return contents;
}

bool write_all(int number, std::string_view contents) {
  while (!contents.empty()) {
    const ssize_t put = ::write(number, contents.data(), contents.size());
    if (put < 0 && errno != EINTR) {
      return false;
    }
    contents.remove_prefix(static_cast<usize>(std::max<ssize_t>(put, 0)));
  }
  return ::fsync(number) == 0;
}

// mkstemp and mkdtemp write the name they chose.
std::string name_beside(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path + ".new-XXXXXX";
}

}  // namespace

Result<std::string, std::string> read_small_file(const std::string& path, Audience audience) {
  // Not blocking: opening a pipe would wait for its other end.
  const Descriptor file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat facts {};
  if (!file.is_open() || ::fstat(file.number(), &facts) != 0) {
    return errno == ELOOP ? fail(path, "is a symbolic link, expected a file") : fail_errno(path);
  }
  if (!S_ISREG(facts.st_mode)) {
    return fail(path, "is no regular file");
  }
  if (audience == Audience::owner_only) {
    if (const auto checked = check_private(path, facts, 0600); !checked) {
      return Failure{checked.error()};
    }
  }
  auto contents = read_all(file.number());
  if (!contents) {
    return fail_errno(path);
  }
  if (contents->size() > largest_file) {
    return fail(path, fmt::format("larger than the {} KiB expected at most", largest_file >> 10));
  }
  return std::move(*contents);
}

Done check_private_directory(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    return fail_errno(path);
  }
  if (!S_ISDIR(facts.st_mode)) {
    return fail(path, "is no directory");
  }
  return check_private(path, facts, 0700);
}

Done write_small_file(const std::string& path, std::string_view contents, Audience audience) {
  std::string name = name_beside(path);
  const int number = ::mkostemp(name.data(), O_CLOEXEC);
  if (number < 0) {
    return fail_errno(path);
  }
  const bool good = write_all(number, contents) && ::fchmod(number, file_mode(audience)) == 0;
  const bool closed = ::close(number) == 0;
  if (!good || !closed || ::rename(name.c_str(), path.c_str()) != 0) {
    auto failure = fail_errno(path);
    ::unlink(name.c_str());
    return failure;
  }
  return {};
}

Done make_directory(const std::string& path, Audience audience) {
  const mode_t mode = audience == Audience::owner_only ? 0700 : 0755;
  struct stat facts {};
  if (::mkdir(path.c_str(), mode) == 0 ||
      (errno == EEXIST && ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode))) {
    return {};
  }
  return errno == EEXIST ? fail(path, "is no directory") : fail_errno(path);
}

Done check_free(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return {};
  }
  if (status.type() != std::filesystem::file_type::directory) {
    return fail(path, error ? error.message() : "exists and is no directory");
  }
  const bool empty = std::filesystem::is_empty(path, error);
  if (error) {
    return fail(path, error.message());
  }
  return empty ? Done() : fail(path, "exists and is not empty");
}

DirectoryInTheMaking::DirectoryInTheMaking(std::string path, std::string target)
    : path_(std::move(path)), target_(std::move(target)) {}
DirectoryInTheMaking::DirectoryInTheMaking(DirectoryInTheMaking&& other) noexcept
    : path_(std::exchange(other.path_, std::string())), target_(std::move(other.target_)) {}

DirectoryInTheMaking::~DirectoryInTheMaking() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

Result<DirectoryInTheMaking, std::string> DirectoryInTheMaking::beside(const std::string& target) {
  if (const auto is_free = check_free(target); !is_free) {
    return Failure{is_free.error()};
  }
  std::string name = name_beside(target);
  if (::mkdtemp(name.data()) == nullptr) {  // mode 0700
    return fail_errno(target);
  }
  return DirectoryInTheMaking(std::move(name), target);
}

Done DirectoryInTheMaking::publish() {
  // Takes the place of an empty directory too, of nothing else.
  if (::rename(path_.c_str(), target_.c_str()) != 0) {
    return fail_errno(target_);
  }
  path_.clear();
  return {};
}

}  // namespace softsnp::platform

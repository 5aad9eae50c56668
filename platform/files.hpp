// Small files: private ones of a platform directory, and those that are written for others.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::platform {

using Done = Result<void, std::string>;  // or one line that names the file

enum class Audience : u8 { owner_only, everybody };  // modes 0600 and 0644

// A file that the directory's owner made: regular, no link, small. owner_only: no one else may read
// or write it.
Result<std::string, std::string> read_small_file(const std::string& path, Audience audience);

// A directory that only its owner can look into.
Done check_private_directory(const std::string& path);

// Replaces what is there; complete or not at all for those who look.
Done write_small_file(const std::string& path, std::string_view contents, Audience audience);
inline std::string_view as_text(std::span<const u8> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One that is there already is good.
Done make_directory(const std::string& path, Audience audience);

// A new directory beside `target` that takes its name at the end, or vanishes with its files.
class DirectoryInTheMaking {
 public:
  // target may exist if it is an empty directory.
  static Result<DirectoryInTheMaking, std::string> beside(const std::string& target);
  DirectoryInTheMaking(DirectoryInTheMaking&& other) noexcept;
  DirectoryInTheMaking& operator=(DirectoryInTheMaking&&) = delete;
  ~DirectoryInTheMaking();

  const std::string& path() const { return path_; }
  Done publish();

 private:
  DirectoryInTheMaking(std::string path, std::string target);
  std::string path_;  // empty once published
  std::string target_;
};

// One line if something is at that path and it is no empty directory.
Done check_free(const std::string& path);

}  // namespace softsnp::platform

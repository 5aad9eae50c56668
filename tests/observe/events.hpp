// A listener's surroundings for tests: a fixed moment, and a stream that can be read back.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "observe/moment.hpp"

namespace softsnp::observe {

class FixedView final : public Viewpoint {
 public:
  Moment now{1234, 1, Vmpl::vmpl2, 0x401000};
  Moment moment() const override { return now; }
};

class MemoryFile {
 public:
  MemoryFile() : file_(open_memstream(&text_, &size_)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() {
    std::fclose(file_);
    std::free(text_);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream's
  }
  std::FILE* file() const { return file_; }
  std::vector<nlohmann::json> lines() const {
    std::fflush(file_);
    std::vector<nlohmann::json> all;
    const std::string text(text_, size_);
    for (usize from = 0; from < text.size();) {
      const usize end = text.find('\n', from);
      EXPECT_NE(end, std::string::npos) << "unfinished line: " << text.substr(from);
      all.push_back(nlohmann::json::parse(text.substr(from, end - from), nullptr, false));
      EXPECT_FALSE(all.back().is_discarded()) << text.substr(from, end - from);
      from = end + 1;
    }
    return all;
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

// "ADDRESS TYPE NAME" lines.
inline std::span<const u8> bytes_of(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

}  // namespace softsnp::observe

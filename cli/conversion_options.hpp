// --conversions: which changes of guest pages between private and shared a run explains at its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/types.hpp"

namespace softsnp::cli {

struct ConversionOptions {
  struct Choice {
    bool to_private = false;
    u64 number = 0;  // from 1, in its direction
  };
  bool list = false;
  std::vector<Choice> chosen;

  bool any() const { return list || !chosen.empty(); }
};

inline constexpr const char* conversion_syntax = "list, shared:N, private:N, with commas between";

// Nothing if the text is something else.
std::optional<ConversionOptions> parse_conversions(const std::string& text);

}  // namespace softsnp::cli

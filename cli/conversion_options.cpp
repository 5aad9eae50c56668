#include "cli/conversion_options.hpp"

#include <algorithm>

#include "cli/numbers.hpp"

namespace softsnp::cli {
namespace {

bool add_word(const std::string& word, ConversionOptions& options) {
  if (word == "list") {
    options.list = true;
    return true;
  }
  const usize colon = word.find(':');
  const std::string direction = word.substr(0, colon);
  if (colon == std::string::npos || (direction != "shared" && direction != "private")) {
    return false;
  }
  const auto number = parse_number(word.substr(colon + 1));
  if (!number || *number == 0) {
    return false;
  }
  options.chosen.push_back({direction == "private", *number});
  return true;
}

}  // namespace

std::optional<ConversionOptions> parse_conversions(const std::string& text) {
  ConversionOptions options;
  for (usize at = 0; at <= text.size();) {
    const usize end = std::min(text.find(',', at), text.size());
    if (!add_word(text.substr(at, end - at), options)) {
      return std::nullopt;
    }
    at = end + 1;
  }
  return options;
}

}  // namespace softsnp::cli

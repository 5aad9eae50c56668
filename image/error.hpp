// Why a file cannot become a launch plan: one line for people.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::image {

// text names the file, the field and what was expected.
struct ImageError {
  std::string text;
};

// 0x-prefixed hexadecimal.
std::string hex(u64 value);
// Bytes as people write them: 16 MiB, 4 KiB or 123 bytes.
std::string size_text(u64 bytes);

// "name: field: problem"; field may be empty.
Failure<ImageError> fail(std::string_view name, std::string_view field, std::string_view problem);

// The same error as the answer of the caller.
template <class R>
Failure<ImageError> pass_on(const R& result) {
  return {result.error()};
}

}  // namespace softsnp::image

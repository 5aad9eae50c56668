#include "image/error.hpp"

#include "base/bits.hpp"

namespace softsnp::image {

std::string hex(u64 value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[value & 0xF]);
    value >>= 4;
  } while (value != 0);
  return "0x" + digits;
}

std::string size_text(u64 bytes) {
  struct Unit {
    u64 size;
    const char* name;
  };
  for (const Unit& unit :
       {Unit{u64{1} << 30, " GiB"}, Unit{1 << 20, " MiB"}, Unit{1 << 10, " KiB"}}) {
    if (bytes >= unit.size && bytes % unit.size == 0) {
      return std::to_string(bytes / unit.size) + unit.name;
    }
  }
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

Failure<ImageError> fail(std::string_view name, std::string_view field, std::string_view problem) {
  std::string text(name);
  text += ": ";
  if (!field.empty()) {
    text += field;
    text += ": ";
  }
  text += problem;
  return {ImageError{std::move(text)}};
}

}  // namespace softsnp::image

#include "observe/symbols.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "arch/boot/elf.hpp"
#include "base/bytes.hpp"

namespace softsnp::observe {
namespace {

constexpr u64 farthest = u64{1} << 20;  // a name further below says nothing
constexpr usize longest_mangled = 512;

// Offsets of ELF64 sections and symbols (System V ABI, "Sections", "Symbol Table").
constexpr u64 section_bytes = 64, symbol_bytes = 24;
constexpr u32 section_type_symbols = 2;

std::string string_at(std::span<const u8> bytes, u64 at) {
  if (at >= bytes.size()) {
    return {};
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data() + at);
  return {text, strnlen(text, bytes.size() - at)};
}

// C++ names as people write them; other names as they are. A hostile image's long names could send
// the demangler into deep recursion.
std::string readable(const std::string& name) {
  if (name.size() > longest_mangled) {
    return name;
  }
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  int status = 0;
  const std::unique_ptr<char, Free> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status));
  return status == 0 ? std::string(text.get()) : name;
}

std::span<const u8> part(std::span<const u8> image, u64 offset, u64 size) {
  if (offset > image.size() || size > image.size() - offset) {
    return {};
  }
  return image.subspan(offset, size);
}

}  // namespace

void Symbols::add_elf(std::span<const u8> image) {
  if (image.size() < 64 || std::memcmp(image.data(), "\177ELF\2", 5) != 0) {
    return;
  }
  const u64 sections = load_le<u64>(image.data() + 0x28);
  const u64 count = load_le<u16>(image.data() + 0x3C);
  const auto headers = part(image, sections, count * section_bytes);
  for (u64 i = 0; i * section_bytes < headers.size(); ++i) {
    const u8* h = headers.data() + i * section_bytes;
    const u64 link = load_le<u32>(h + 0x28);
    if (load_le<u32>(h + 4) != section_type_symbols || link >= count) {
      continue;
    }
    const auto table = part(image, load_le<u64>(h + 0x18), load_le<u64>(h + 0x20));
    const u8* s = headers.data() + link * section_bytes;
    const auto strings = part(image, load_le<u64>(s + 0x18), load_le<u64>(s + 0x20));
    for (u64 at = 0; at + symbol_bytes <= table.size(); at += symbol_bytes) {
      const u64 value = load_le<u64>(table.data() + at + 8);
      std::string name = string_at(strings, load_le<u32>(table.data() + at));
      if (value != 0 && !name.empty()) {
        by_address_[value] = std::move(name);
      }
    }
  }
}

void Symbols::add_map(std::span<const u8> text) {
  std::string_view rest(reinterpret_cast<const char*>(text.data()), text.size());
  while (!rest.empty()) {
    const usize end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    u64 address = 0;
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    const auto used = static_cast<usize>(parsed.ptr - line.data());
    if (parsed.ec == std::errc() && used + 3 < line.size() && line[used] == ' ') {
      by_address_[address] = std::string(line.substr(used + 3));
    }
  }
}

std::string Symbols::name_of(u64 address) const {
  auto above = by_address_.upper_bound(address);
  if (above == by_address_.begin()) {
    return {};
  }
  --above;
  const u64 distance = address - above->first;
  return distance > farthest ? std::string()
                             : fmt::format("{}+{:#x}", readable(above->second), distance);
}

}  // namespace softsnp::observe

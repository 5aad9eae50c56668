// Guest addresses as names, from an ELF symbol table or a System.map.
#pragma once

#include <map>
#include <span>
#include <string>

#include "base/types.hpp"

namespace softsnp::observe {

class Symbols {
 public:
  // Takes the function symbols of an ELF64 image; anything else adds nothing. Hostile input.
  void add_elf(std::span<const u8> image);
  // Lines "ADDRESS TYPE NAME"; other lines are skipped.
  void add_map(std::span<const u8> text);
  bool empty() const { return by_address_.empty(); }
  // "name+0x12", or "" if no symbol lies at or closely below the address.
  std::string name_of(u64 address) const;

 private:
  std::map<u64, std::string> by_address_;
};

}  // namespace softsnp::observe

// The loadable segments of an ELF executable, 32- or 64-bit, checked against the file.
#pragma once

#include <vector>

#include "image/image.hpp"

namespace softsnp::image {

class Assembly;

struct Segment {
  u64 vaddr = 0;
  GuestPhysical paddr;
  std::span<const u8> bytes;
  u64 memory_length = 0;
};

struct ElfImage {
  u64 entry = 0;  // as the file has it: physical or virtual
  std::vector<Segment> segments;
};

bool is_elf(std::span<const u8> bytes);
// Requires is_elf.
bool is_elf64(std::span<const u8> bytes);

// Statically linked executables for x86 only. Requires is_elf.
Result<ElfImage, ImageError> parse_elf(const File& file);

Result<void, ImageError> load_segments(Assembly& assembly, const ElfImage& elf);

// The entry's physical address: inside a segment by physical address, else by virtual address.
Result<GuestPhysical, ImageError> physical_entry(const File& file, const ElfImage& elf);

}  // namespace softsnp::image

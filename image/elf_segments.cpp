#include "image/elf_segments.hpp"

#include <algorithm>

#include "arch/boot/elf.hpp"
#include "image/assembly.hpp"
#include "image/reader.hpp"

namespace softsnp::image {
namespace {

namespace elf = boot::elf;

// Bounds the work a file can ask for (a segment may cost two padded blocks of 2 MiB).
constexpr usize maximum_segments = 64;

template <class Header>
Result<void, ImageError> check_header(const std::string& name, const Header& header,
                                      usize program_header_size) {
  const bool x86 = header.machine == elf::machine_x86_64 ||
                   (sizeof(Header) == sizeof(elf::Header32) && header.machine == elf::machine_386);
  if (header.ident[elf::ident_data] != elf::data_little_endian || !x86) {
    return fail(name, "e_machine", "expected x86, got " + std::to_string(header.machine));
  }
  if (header.type != elf::type_executable) {
    return fail(name, "e_type",
                "expected a static executable (2), got " + std::to_string(header.type));
  }
  if (header.phentsize != program_header_size) {
    return fail(name, "e_phentsize",
                "expected " + std::to_string(program_header_size) + ", got " +
                    std::to_string(header.phentsize));
  }
  return {};
}

// phoff is hostile, but index * size is small: if the sum wraps, it is below phoff.
template <class ProgramHeader>
std::optional<ProgramHeader> program_header(const File& file, u64 phoff, usize index) {
  const u64 offset = phoff + index * sizeof(ProgramHeader);
  return offset >= phoff ? read<ProgramHeader>(file.bytes, offset) : std::nullopt;
}

template <class ProgramHeader>
Result<Segment, ImageError> segment(const File& file, const std::string& field,
                                    const ProgramHeader& header) {
  if (!contains(file.bytes, header.offset, header.filesz)) {
    return fail(file.name, field,
                "file is truncated: expected " + hex(header.filesz) + " bytes at " +
                    hex(header.offset) + ", the file has " + hex(file.bytes.size()));
  }
  if (header.filesz > header.memsz) {
    return fail(file.name, field, "p_filesz is larger than p_memsz");
  }
  return Segment{header.vaddr, GuestPhysical(header.paddr),
                 file.bytes.subspan(header.offset, header.filesz), header.memsz};
}

template <class Header, class ProgramHeader>
Result<ElfImage, ImageError> parse(const File& file) {
  const auto header = read<Header>(file.bytes, 0);
  if (!header) {
    return fail(file.name, "ELF header",
                "file is truncated: expected " + std::to_string(sizeof(Header)) + " bytes, got " +
                    std::to_string(file.bytes.size()));
  }
  if (const auto checked = check_header(file.name, *header, sizeof(ProgramHeader)); !checked) {
    return pass_on(checked);
  }
  ElfImage image;
  image.entry = header->entry;
  u64 total = 0;
  for (usize i = 0; i < header->phnum; ++i) {
    const std::string field = "program header " + std::to_string(i);
    const auto entry = program_header<ProgramHeader>(file, header->phoff, i);
    if (!entry) {
      return fail(file.name, field, "lies outside the file: truncated?");
    }
    if (entry->type == elf::segment_interp) {
      return fail(file.name, field, "wants an interpreter: expected a static executable");
    }
    if (entry->type != elf::segment_load || entry->memsz == 0) {
      continue;
    }
    const auto part = segment(file, field, *entry);
    if (!part) {
      return pass_on(part);
    }
    total += part->bytes.size();
    if (image.segments.size() == maximum_segments || total > file.bytes.size()) {
      return fail(file.name, field, "more or larger segments than the file can hold");
    }
    image.segments.push_back(*part);
  }
  if (image.segments.empty()) {
    return fail(file.name, "program headers", "expected at least one PT_LOAD segment");
  }
  return image;
}

}  // namespace

bool is_elf(std::span<const u8> bytes) {
  return bytes.size() > elf::ident_data &&
         std::equal(std::begin(elf::magic), std::end(elf::magic), bytes.begin());
}

bool is_elf64(std::span<const u8> bytes) {
  return bytes[elf::ident_class] == elf::class_64;
}

Result<ElfImage, ImageError> parse_elf(const File& file) {
  return is_elf64(file.bytes) ? parse<elf::Header64, elf::ProgramHeader64>(file)
                              : parse<elf::Header32, elf::ProgramHeader32>(file);
}

Result<void, ImageError> load_segments(Assembly& assembly, const ElfImage& elf) {
  for (const Segment& segment : elf.segments) {
    const auto loaded = assembly.load_kernel(segment.paddr, segment.bytes, segment.memory_length,
                                             "segment at " + hex(segment.paddr.value()));
    if (!loaded) {
      return pass_on(loaded);
    }
  }
  return {};
}

Result<GuestPhysical, ImageError> physical_entry(const File& file, const ElfImage& elf) {
  for (const Segment& segment : elf.segments) {
    if (elf.entry - segment.paddr.value() < segment.memory_length) {
      return GuestPhysical(elf.entry);
    }
  }
  for (const Segment& segment : elf.segments) {
    if (elf.entry - segment.vaddr < segment.memory_length) {
      return segment.paddr + (elf.entry - segment.vaddr);
    }
  }
  return fail(file.name, "e_entry", hex(elf.entry) + " lies in no segment");
}

}  // namespace softsnp::image

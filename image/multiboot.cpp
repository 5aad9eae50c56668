// Multiboot 1: 32-bit protected-mode entry. Multiboot Specification 0.6.96.
#include "image/multiboot.hpp"

#include <algorithm>
#include <cstring>

#include "arch/boot/multiboot.hpp"
#include "arch/boot/platform.hpp"
#include "image/assembly.hpp"
#include "image/elf_segments.hpp"
#include "image/entry_state.hpp"
#include "image/low_memory.hpp"
#include "image/memory_map.hpp"
#include "image/reader.hpp"

namespace softsnp::image {
namespace {

namespace multiboot = boot::multiboot;
using Header = multiboot::Header;

constexpr char loader_name[] = "softsnp";

// What the header's address fields describe: one segment.
Result<ElfImage, ImageError> address_fields(const File& file, u64 header_offset) {
  const auto header = read<Header>(file.bytes, header_offset);
  if (!header) {
    return fail(file.name, "Multiboot header", "file is truncated within the address fields");
  }
  const u64 before = header->header_addr - u64{header->load_addr};
  if (header->load_addr > header->header_addr || before > header_offset) {
    return fail(file.name, "Multiboot load_addr",
                hex(header->load_addr) + " does not fit header_addr " + hex(header->header_addr) +
                    " and the header's place in the file");
  }
  const u64 start = header_offset - before;
  const u64 available = file.bytes.size() - start;
  u64 length = available;
  if (header->load_end_addr != 0) {
    if (header->load_end_addr <= header->load_addr) {
      return fail(file.name, "Multiboot load_end_addr", "expected more than load_addr");
    }
    length = header->load_end_addr - header->load_addr;
  }
  if (length > available) {
    return fail(file.name, "Multiboot load_end_addr",
                "file is truncated: expected " + std::to_string(start + length) + " bytes, got " +
                    std::to_string(file.bytes.size()));
  }
  const u64 load_end = header->load_addr + length;
  if (header->bss_end_addr != 0 && header->bss_end_addr < load_end) {
    return fail(file.name, "Multiboot bss_end_addr", "expected at least load_end_addr");
  }
  const u64 end = std::max<u64>(load_end, header->bss_end_addr);
  ElfImage image;
  image.entry = header->entry_addr;
  image.segments.push_back({header->load_addr, GuestPhysical(header->load_addr),
                            file.bytes.subspan(start, length), end - header->load_addr});
  return image;
}

Result<ElfImage, ImageError> parse(const File& file, u64 header_offset) {
  const auto flags = read<u32>(file.bytes, header_offset + offsetof(Header, flags));
  const u32 unknown = *flags & multiboot::must_understand &
                      ~(multiboot::flag_page_align | multiboot::flag_memory_info);
  if (unknown != 0) {
    return fail(file.name, "Multiboot flags",
                "asks for " + hex(unknown) + ", understood are 1 (page alignment) and 2 (memory)");
  }
  if ((*flags & multiboot::flag_addresses) != 0) {
    return address_fields(file, header_offset);
  }
  if (!is_elf(file.bytes)) {
    return fail(file.name, "Multiboot flags", "no address fields: expected an ELF executable");
  }
  return parse_elf(file);
}

// The information structure and what it points to, in one page at low::boot_info.
class InfoPage {
 public:
  u32 append(std::span<const u8> bytes) {
    const u32 at = static_cast<u32>((low::boot_info + bytes_.size()).value());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return at;
  }
  void set(const multiboot::Info& info) { std::memcpy(bytes_.data(), &info, sizeof info); }
  std::span<const u8> bytes() const { return bytes_; }

 private:
  std::vector<u8> bytes_ = std::vector<u8>(sizeof(multiboot::Info));
};

void add_memory(const LaunchPlan& plan, InfoPage& page, multiboot::Info& info) {
  constexpr u64 kib = 1024;
  info.flags |= multiboot::info_memory | multiboot::info_mmap;
  info.mem_lower = static_cast<u32>(low::ram_end.value() / kib);
  info.mem_upper = static_cast<u32>((low_ram_end(plan.memory_size) - low::one_mib) / kib);
  for (const boot::E820Entry& entry : plan.e820) {
    const multiboot::MmapEntry row{sizeof row - sizeof row.size, entry.base, entry.size,
                                   static_cast<u32>(entry.type)};
    const u32 at = page.append(as_bytes(row));
    info.mmap_addr = info.mmap_addr == 0 ? at : info.mmap_addr;
    info.mmap_length += static_cast<u32>(sizeof row);
  }
}

// The initrd becomes the first module; its string is the file's name.
void add_module(const LaunchPlan& plan, std::string_view name, InfoPage& page,
                multiboot::Info& info) {
  if (plan.layout.initrd_size == 0) {
    return;
  }
  constexpr usize longest_name = 1024;
  const std::string text(name.substr(0, longest_name));
  const auto* chars = reinterpret_cast<const u8*>(text.c_str());
  const u32 string_at = page.append({chars, text.size() + 1});
  const u32 start = static_cast<u32>(plan.layout.initrd.value());
  const multiboot::Module module{start, start + static_cast<u32>(plan.layout.initrd_size),
                                 string_at, 0};
  info.flags |= multiboot::info_modules;
  info.mods_count = 1;
  info.mods_addr = page.append(as_bytes(module));
}

std::vector<u8> information(const LaunchPlan& plan, std::string_view initrd_name) {
  InfoPage page;
  multiboot::Info info{};
  add_memory(plan, page, info);
  add_module(plan, initrd_name, page, info);
  info.flags |= multiboot::info_cmdline | multiboot::info_loader_name;
  info.cmdline = static_cast<u32>(plan.layout.command_line.value());
  info.boot_loader_name = page.append(as_bytes(loader_name));
  page.set(info);
  return {page.bytes().begin(), page.bytes().end()};
}

}  // namespace

std::optional<u64> find_multiboot_header(std::span<const u8> bytes) {
  const u64 limit = std::min<u64>(bytes.size(), multiboot::search_limit);
  for (u64 at = 0; at + multiboot::short_header_size <= limit; at += sizeof(u32)) {
    const u32 magic = *read<u32>(bytes, at);
    const u32 flags = *read<u32>(bytes, at + offsetof(Header, flags));
    const u32 checksum = *read<u32>(bytes, at + offsetof(Header, checksum));
    if (magic == multiboot::header_magic && magic + flags + checksum == 0) {
      return at;
    }
  }
  return std::nullopt;
}

Result<LaunchPlan, ImageError> build_multiboot(const Inputs& inputs, u64 header_offset) {
  const auto image = parse(inputs.kernel, header_offset);
  if (!image) {
    return pass_on(image);
  }
  const auto entry = physical_entry(inputs.kernel, *image);
  if (!entry) {
    return pass_on(entry);
  }
  auto assembly = Assembly::begin(inputs, Format::multiboot);
  if (!assembly) {
    return pass_on(assembly);
  }
  if (const auto loaded = load_segments(*assembly, *image); !loaded) {
    return pass_on(loaded);
  }
  if (const auto placed = assembly->place_command_line(low::command_line_capacity); !placed) {
    return pass_on(placed);
  }
  if (const auto placed = assembly->place_initrd(highest_initrd_address); !placed) {
    return pass_on(placed);
  }
  assembly->layout().entry = *entry;
  assembly->layout().boot_info = low::boot_info;
  assembly->place(low::boot_info, information(assembly->plan(), inputs.initrd.name));
  return assembly->finish(protected_mode_state(inputs.mode, *entry, low::boot_info));
}

}  // namespace softsnp::image

#include "image/svsm.hpp"

#include <algorithm>

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "image/entry_state.hpp"
#include "image/image.hpp"
#include "image/low_memory.hpp"
#include "image/memory_map.hpp"

namespace softsnp::image {
namespace {

using namespace x86;

constexpr u64 gigabyte = u64{1} << 30;
constexpr u64 entries = 512;
// Root, lower half (enough for maximum_memory), the SVSM's GiB, upper half and its directory.
constexpr u64 lower_tables = 3;
constexpr u64 table_pages = 1 + lower_tables + 1 + 2;
static_assert(lower_tables * entries * gigabyte > maximum_memory + 2 * gigabyte);

// The image is one stretch from its base on.
Result<u64, ImageError> image_length(const File& file, const ElfImage& elf) {
  u64 length = 0;
  for (const Segment& segment : elf.segments) {
    const u64 offset = segment.vaddr - boot::svsm_virtual_base;
    if (offset > maximum_svsm_image || segment.memory_length > maximum_svsm_image - offset) {
      return fail(file.name, "program headers",
                  "an SVSM lies within " + size_text(maximum_svsm_image) + " from " +
                      hex(boot::svsm_virtual_base) + " on, got a segment of " +
                      size_text(segment.memory_length) + " at " + hex(segment.vaddr));
    }
    length = std::max(length, offset + segment.memory_length);
  }
  return align_up(length, page_size);
}

class Tables {
 public:
  Tables(GuestPhysical at, unsigned c_bit) : at_(at), c_bit_(bit(c_bit)) {}
  void point(u64 table, u64 index, u64 to) {
    set(table, index, (at_ + to * page_size).value() | pte::present | pte::write);
  }
  void map_large(u64 table, u64 index, u64 physical) {
    set(table, index,
        physical | pte::present | pte::write | pte::large | pte::accessed | pte::dirty);
  }
  std::vector<u8> bytes() && { return std::move(bytes_); }

 private:
  void set(u64 table, u64 index, u64 entry) {
    store_le(&bytes_[table * page_size + index * sizeof entry], entry | c_bit_);
  }
  GuestPhysical at_;
  u64 c_bit_;
  std::vector<u8> bytes_ = std::vector<u8>(table_pages * page_size);
};

constexpr u64 index_at(u64 address, unsigned shift) {
  return (address >> shift) & (entries - 1);
}

}  // namespace

Result<SvsmPlacement, ImageError> svsm_placement(const Inputs& inputs) {
  const File& file = inputs.svsm->file;
  if (!is_elf(file.bytes) || !is_elf64(file.bytes)) {
    return fail(file.name, "", "expected an ELF64 executable");
  }
  auto elf = parse_elf(file);
  if (!elf) {
    return pass_on(elf);
  }
  const auto length = image_length(file, *elf);
  if (!length) {
    return pass_on(length);
  }
  const u64 behind = sizeof(boot::SvsmLaunchPages) + table_pages * page_size;
  const u64 size = align_up(*length + behind, large_page_size);
  const u64 ceiling = low_ram_end(inputs.memory_size).value();
  if (ceiling < low::one_mib.value() + 2 * size) {
    return fail("memory", "size", "no room for an SVSM of " + size_text(size));
  }
  const GuestPhysical start(align_down(ceiling - size, large_page_size));
  return SvsmPlacement{std::move(*elf),
                       {start, size},
                       start + *length,
                       start + (*length + sizeof(boot::SvsmLaunchPages))};
}

std::vector<u8> svsm_page_tables(const SvsmPlacement& at, const Inputs& inputs) {
  Tables tables(at.page_tables, inputs.c_bit);
  constexpr u64 root = 0, lower = 1, own_directory = lower + lower_tables,
                upper = own_directory + 1, image_directory = upper + 1;
  const u64 own_gigabyte = at.own.start.value() / gigabyte;
  for (const RamRange& range : ram_ranges(inputs.memory_size)) {
    for (u64 g = range.start.value() / gigabyte; g * gigabyte < range.end().value(); ++g) {
      if (g != own_gigabyte) {
        tables.map_large(lower + g / entries, g % entries, g * gigabyte);
      }
    }
  }
  for (u64 i = 0; i < lower_tables; ++i) {
    tables.point(root, i, lower + i);
  }
  tables.point(lower + own_gigabyte / entries, own_gigabyte % entries, own_directory);
  for (u64 i = 0; i < entries; ++i) {
    tables.map_large(own_directory, i, own_gigabyte * gigabyte + i * large_page_size);
  }
  tables.point(root, index_at(boot::svsm_virtual_base, 39), upper);
  tables.point(upper, index_at(boot::svsm_virtual_base, 30), image_directory);
  for (u64 i = 0; i < at.own.length / large_page_size; ++i) {
    tables.map_large(image_directory, i, at.own.start.value() + i * large_page_size);
  }
  return std::move(tables).bytes();
}

boot::SvsmLaunchPages svsm_launch_pages(const SvsmPlacement& at, const Inputs& inputs,
                                        const std::vector<RamRange>& unaccepted,
                                        const svm::Vmsa& guest) {
  boot::SvsmLaunchPages pages{};
  boot::SvsmLaunch& launch = pages.launch;
  launch.magic = boot::SvsmLaunch::magic_value;
  launch.vcpu_count = inputs.vcpu_count;
  launch.guest_vmpl = inputs.svsm->guest_vmpl;
  launch.own = {at.own.start.value(), at.own.length};
  launch.secrets = low::secrets.value();
  launch.calling_area = low::calling_area.value();
  launch.c_bit = inputs.c_bit;
  for (const RamRange& range : ram_ranges(inputs.memory_size)) {
    launch.ram[launch.ram_count++] = {range.start.value(), range.length};
  }
  for (const RamRange& range : unaccepted) {
    launch.unaccepted[launch.unaccepted_count++] = {range.start.value(), range.length};
  }
  pages.guest = guest;
  return pages;
}

// Segments and registers of a 64-bit start; the SVSM loads its own descriptors at once.
svm::Vmsa svsm_entry_state(const SvsmPlacement& at) {
  svm::Vmsa state = long_mode_state(Mode::snp, GuestPhysical(at.elf.entry), GuestPhysical(0));
  state.cr3 = at.page_tables.value();
  state.rdi = at.launch_pages.value();
  return state;
}

void reserve(std::vector<boot::E820Entry>& map, const RamRange& range) {
  std::vector<boot::E820Entry> result;
  const u64 start = range.start.value();
  const u64 end = range.end().value();
  for (const boot::E820Entry& entry : map) {
    const u64 entry_end = entry.base + entry.size;
    if (entry.type != boot::E820Type::ram || entry.base >= end || entry_end <= start) {
      result.push_back(entry);
      continue;
    }
    if (entry.base < start) {
      result.push_back({entry.base, start - entry.base, entry.type});
    }
    result.push_back({std::max(entry.base, start),
                      std::min(entry_end, end) - std::max(entry.base, start),
                      boot::E820Type::reserved});
    if (entry_end > end) {
      result.push_back({end, entry_end - end, entry.type});
    }
  }
  map = std::move(result);
}

}  // namespace softsnp::image

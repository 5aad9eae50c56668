#include "image/page_tables.hpp"

#include "arch/boot/platform.hpp"
#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "image/low_memory.hpp"

namespace softsnp::image {
namespace {

constexpr u64 directory_count = 4;  // 1 GiB each
constexpr u64 entries_per_table = 512;
constexpr u64 entry_size = 8;
constexpr u64 table_flags = x86::pte::present | x86::pte::write;
constexpr u64 leaf_flags = table_flags | x86::pte::large | x86::pte::accessed | x86::pte::dirty;

static_assert(window_address % (entries_per_table * large_page_size) == 0 &&
              window_entry ==
                  low::page_tables +
                      (2 + window_address / (entries_per_table * large_page_size)) * page_size);
static_assert(low::page_tables + (2 + directory_count) * page_size <= low::cc_blob);

}  // namespace

std::vector<u8> identity_map(Mode mode, unsigned c_bit) {
  const u64 encrypted = is_encrypted(mode) ? bit(c_bit) : 0;
  std::vector<u8> pages((2 + directory_count) * page_size);
  const auto set = [&](u64 page, u64 index, u64 entry) {
    store_le(&pages[page * page_size + index * entry_size], entry);
  };
  const auto table = [&](u64 page) {
    return (low::page_tables + page * page_size).value() | table_flags | encrypted;
  };
  set(0, 0, table(1));
  for (u64 i = 0; i < directory_count; ++i) {
    set(1, i, table(2 + i));
  }
  for (u64 i = 0; i < directory_count * entries_per_table; ++i) {
    const u64 address = i * large_page_size;
    const u64 c = address < boot::platform::low_ram_limit ? encrypted : 0;
    set(2, i, address | leaf_flags | c);  // the directories are contiguous
  }
  return pages;
}

}  // namespace softsnp::image

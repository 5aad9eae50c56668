#include "attest/certificate_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "attest/report.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

struct RawEntry {
  u8 guid[16];
  u32 offset;
  u32 length;
};
static_assert(sizeof(RawEntry) == 0x18);

constexpr u64 largest_table = 64;  // entries: five kinds are known

Result<usize, std::string> count_entries(const std::string& name, std::span<const u8> file) {
  for (usize n = 0; n <= largest_table; ++n) {
    const usize at = n * sizeof(RawEntry);
    if (file.size() < at + sizeof(RawEntry)) {
      return Failure{fmt::format("{}: certificate table: ends without an entry of zeros", name)};
    }
    if (is_zero(file.subspan(at, sizeof(RawEntry)))) {
      return n;
    }
  }
  return Failure{fmt::format("{}: certificate table: more than {} entries", name, largest_table)};
}

}  // namespace

Result<std::vector<TableEntry>, std::string> read_certificate_table(const std::string& name,
                                                                    std::span<const u8> file) {
  const auto count = count_entries(name, file);
  if (!count) {
    return Failure{count.error()};
  }
  const usize header = (*count + 1) * sizeof(RawEntry);
  std::vector<TableEntry> entries;
  for (usize n = 0; n < *count; ++n) {
    const auto raw = load_le<RawEntry>(&file[n * sizeof(RawEntry)]);
    if (raw.offset < header || raw.offset > file.size() || raw.length > file.size() - raw.offset ||
        raw.length == 0) {
      return Failure{fmt::format(
          "{}: certificate table: entry {}: {} bytes at {:#x} do not lie between {:#x} and {:#x}",
          name, n, raw.length, raw.offset, header, file.size())};
    }
    TableEntry entry;
    std::copy_n(raw.guid, entry.guid.size(), entry.guid.begin());
    for (const TableEntry& other : entries) {
      if (other.guid == entry.guid) {
        return Failure{
            fmt::format("{}: certificate table: entry {} has the GUID of another", name, n)};
      }
    }
    entry.blob = file.subspan(raw.offset, raw.length);
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace softsnp::attest

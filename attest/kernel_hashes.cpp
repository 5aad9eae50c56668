#include "attest/kernel_hashes.hpp"

#include <algorithm>
#include <cstring>

#include "attest/sha.hpp"

namespace softsnp::attest {
namespace {

namespace ovmf = boot::ovmf;

ovmf::HashEntry entry(const ovmf::Guid& guid, std::span<const u8> bytes) {
  ovmf::HashEntry result{};
  result.guid = guid;
  result.length = sizeof result;
  const Sha256Sum sum = sha256(bytes);
  std::copy(sum.begin(), sum.end(), result.sum);
  return result;
}

}  // namespace

ovmf::KernelHashes kernel_hashes(const KernelFiles& files) {
  std::vector<u8> command_line(files.append.begin(), files.append.end());
  command_line.push_back(0);  // belongs to it
  ovmf::KernelHashes table{};
  table.guid = ovmf::kernel_hashes_guid;
  table.length = ovmf::KernelHashes::length_value;
  table.command_line = entry(ovmf::command_line_guid, command_line);
  table.initrd = entry(ovmf::initrd_guid, files.initrd);
  table.kernel = entry(ovmf::kernel_guid, files.kernel);
  return table;
}

std::vector<u8> kernel_hashes_page(const ovmf::KernelHashes& table, u64 offset) {
  std::vector<u8> page(page_size);
  std::memcpy(&page.at(offset), &table, sizeof table);
  return page;
}

}  // namespace softsnp::attest

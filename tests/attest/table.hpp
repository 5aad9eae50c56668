// Certificate tables made by hand. Firmware sheet 4.5.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "attest/certificate_table.hpp"

namespace softsnp::attest::test {

inline std::vector<u8> certificate_table(
    const std::vector<std::pair<TableGuid, std::vector<u8>>>& blobs) {
  std::vector<u8> file(24 * (blobs.size() + 1));
  for (usize i = 0; i < blobs.size(); ++i) {
    const u32 place[] = {static_cast<u32>(file.size()), static_cast<u32>(blobs[i].second.size())};
    std::memcpy(&file[24 * i], blobs[i].first.data(), 16);
    std::memcpy(&file[24 * i + 16], place, sizeof place);
    file.insert(file.end(), blobs[i].second.begin(), blobs[i].second.end());
  }
  return file;
}

}  // namespace softsnp::attest::test

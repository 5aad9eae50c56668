// The table of certificates that an extended guest request returns. Firmware sheet 4.5.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/types.hpp"

namespace softsnp::attest {

using TableGuid = std::array<u8, 16>;  // in the order of its text

namespace table_guid {
inline constexpr TableGuid vcek = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                   0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd},
                           vlek = {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e,
                                   0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1},
                           ask = {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
                                  0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82},
                           ark = {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52,
                                  0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae},
                           crl = {0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d,
                                  0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea};
}  // namespace table_guid

struct TableEntry {
  TableGuid guid{};
  std::span<const u8> blob;  // within the file
};

// Entries as they stand there, known or not. One line if they do not stay within the file. What
// lies behind the last blob is the buffer's padding.
Result<std::vector<TableEntry>, std::string> read_certificate_table(const std::string& name,
                                                                    std::span<const u8> file);

}  // namespace softsnp::attest

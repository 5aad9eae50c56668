#include "platform/certificate_table.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"

namespace softsnp::platform {

namespace {

using Guid = std::array<u8, 16>;  // in the order of its text, unlike EFI's

constexpr Guid vcek_guid = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                            0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
constexpr Guid vlek_guid = {0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e,
                            0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1};
constexpr Guid signer_guid = {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
                              0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82};
constexpr Guid ark_guid = {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52,
                           0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae};

struct Entry {
  Guid guid{};
  u32 offset = 0;
  u32 length = 0;
};
static_assert(sizeof(Entry) == 0x18);

struct Blob {
  Guid guid;
  Der der;
};

}  // namespace

std::vector<u8> certificate_table(const Platform& platform, Leaf leaf,
                                  const psp::TcbComponents& tcb) {
  const Blob blobs[] = {
      {leaf == Leaf::vcek ? vcek_guid : vlek_guid, leaf_certificate(platform, leaf, tcb)},
      {signer_guid, signer_certificate(platform, leaf)},
      {ark_guid, platform.certificates.ark}};
  std::vector<u8> table((std::size(blobs) + 1) * sizeof(Entry));  // the last entry stays zero
  usize at = 0;
  for (const Blob& blob : blobs) {
    const Entry entry{blob.guid, static_cast<u32>(table.size()), static_cast<u32>(blob.der.size())};
    store_le(&table[at], entry);
    at += sizeof entry;
    table.insert(table.end(), blob.der.begin(), blob.der.end());
  }
  require(table.size() <= certificate_table_limit);
  return table;
}

}  // namespace softsnp::platform

// OVMF images made by hand: a GUID table and SEV metadata at the end of otherwise patterned bytes.
// Firmware sheet 2.3.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "arch/boot/ovmf.hpp"
#include "image/firmware.hpp"

namespace softsnp::attest::test {

namespace ovmf = boot::ovmf;

template <class T>
void append(std::vector<u8>& to, const T& value) {
  const usize at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(&to[at], &value, sizeof value);
}

struct OvmfImage {
  usize size = 4096;
  std::vector<ovmf::MetadataSection> sections;
  bool hash_table = true;
  bool metadata = true;
  u32 reset_eip = 0x0080B004;  // 0: none
  u32 svsm_launch_offset = 0;  // 0: none

  // From the front: pattern, metadata, table, footer, reset vector.
  std::vector<u8> bytes() const {
    std::vector<u8> meta;
    append(meta, ovmf::MetadataHeader{ovmf::MetadataHeader::signature_value,
                                      static_cast<u32>(16 + 12 * sections.size()), 1,
                                      static_cast<u32>(sections.size())});
    for (const auto& section : sections) {
      append(meta, section);
    }
    const std::vector<u8> table = guid_table(meta.size());
    std::vector<u8> image(size - meta.size() - table.size() - ovmf::reset_vector_bytes);
    for (usize i = 0; i < image.size(); ++i) {
      image[i] = static_cast<u8>(i * 5 + i / 4096);
    }
    image.insert(image.end(), meta.begin(), meta.end());
    image.insert(image.end(), table.begin(), table.end());
    image.resize(size, 0x90);
    return image;
  }

 private:
  template <class T>
  static void entry(std::vector<u8>& table, const T& data, const ovmf::Guid& guid) {
    append(table, data);
    append(table, ovmf::EntryTail{sizeof data + sizeof(ovmf::EntryTail), guid});
  }

  std::vector<u8> guid_table(usize metadata_size) const {
    const auto fill = [this](std::vector<u8>& table, u32 metadata_offset) {
      table.clear();
      entry(table, u64{0x1234},
            ovmf::make_guid(0xe47a6535, 0x984a, 0x4798, 0x865e4685a7bf8ec2));  // unknown to us
      if (metadata) {
        entry(table, metadata_offset, ovmf::metadata_guid);
      }
      if (hash_table) {
        entry(table, ovmf::HashTableArea{0x810C00, 0x400}, ovmf::hash_table_guid);
      }
      if (reset_eip != 0) {
        entry(table, reset_eip, ovmf::reset_block_guid);
      }
      if (svsm_launch_offset != 0) {
        entry(table, svsm_launch_offset, ovmf::svsm_info_guid);
      }
      append(table, ovmf::EntryTail{static_cast<u16>(table.size() + sizeof(ovmf::EntryTail)),
                                    ovmf::footer_guid});
    };
    std::vector<u8> table;
    fill(table, 0);
    fill(table, static_cast<u32>(metadata_size + table.size() + ovmf::reset_vector_bytes));
    return table;
  }
};

inline std::vector<ovmf::MetadataSection> sections_before_hashes() {
  using Type = ovmf::SectionType;
  return {{0x800000, 0x9000, Type::snp_memory},
          {0x80A000, 0x3000, Type::snp_memory},
          {0x80D000, 0x1000, Type::snp_secrets},
          {0x80E000, 0x1000, Type::cpuid},
          {0x80F000, 0x1000, Type::svsm_calling_area}};
}

// The list of EDK2's AmdSev build.
inline OvmfImage amd_sev_image() {
  using Type = ovmf::SectionType;
  OvmfImage image;
  image.sections = sections_before_hashes();
  image.sections.push_back({0x810000, 0x1000, Type::kernel_hashes});
  image.sections.push_back({0x811000, 0xF000, Type::snp_memory});
  return image;
}

// And of its OvmfPkgX64 build.
inline OvmfImage ovmf_x64_image() {
  OvmfImage image;
  image.sections = sections_before_hashes();
  image.sections.push_back({0x810000, 0x10000, ovmf::SectionType::snp_memory});
  image.hash_table = false;
  return image;
}

inline image::Firmware parse(const std::vector<u8>& bytes) {
  return image::parse_firmware({"ovmf.fd", bytes}).value();
}

}  // namespace softsnp::attest::test

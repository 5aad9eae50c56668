// What an OVMF image, or an SVSM image with the same kind of table, says about its own launch.
// Firmware sheet 2.3.
#pragma once

#include <optional>
#include <vector>

#include "arch/address.hpp"
#include "arch/boot/ovmf.hpp"
#include "image/image.hpp"

namespace softsnp::image {

struct FirmwareSection {
  GuestPhysical gpa;  // page aligned
  u64 length = 0;     // whole pages
  boot::ovmf::SectionType type = boot::ovmf::SectionType::snp_memory;

  GuestPhysical end() const { return gpa + length; }
};

struct Firmware {
  File file;
  GuestPhysical base;
  // What the image does not have is absent; who needs it says so.
  std::optional<boot::ovmf::HashTableArea> hash_table;
  std::optional<u32> reset_eip;  // of all vCPUs but the first
  std::optional<u32> svsm_launch_offset;
  // In the file's order, which is the order of launch; disjoint.
  std::optional<std::vector<FirmwareSection>> sections;
};

inline constexpr GuestPhysical firmware_end{u64{4} << 30};
inline constexpr u64 maximum_firmware_size = u64{64} << 20;

// The image lies in memory so that it ends at end.
Result<Firmware, ImageError> parse_firmware(const File& file, GuestPhysical end = firmware_end);

}  // namespace softsnp::image

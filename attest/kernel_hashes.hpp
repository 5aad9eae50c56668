// The table by which a measured OVMF recognises kernel, initrd and command line. Firmware
// sheet 2.4.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "arch/boot/ovmf.hpp"

namespace softsnp::attest {

struct KernelFiles {
  std::span<const u8> kernel;
  std::span<const u8> initrd;  // empty: none
  std::string_view append;
};

boot::ovmf::KernelHashes kernel_hashes(const KernelFiles& files);

// The table at offset in an otherwise zero page. Requires that it fits.
std::vector<u8> kernel_hashes_page(const boot::ovmf::KernelHashes& table, u64 offset);

}  // namespace softsnp::attest

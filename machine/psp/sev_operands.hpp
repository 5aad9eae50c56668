// Memory that legacy commands name: where it may lie, and the guest's view of it. Firmware sheet
// 7.1, 1.6 (common errors).
#pragma once

#include <vector>

#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

struct MemoryRange {
  SystemPhysical at;
  u64 bytes = 0;

  static MemoryRange of(u64 paddr, u64 bytes) { return {FirmwarePort::address(paddr), bytes}; }
};

inline constexpr u64 sev_granule = 16;  // of encrypted memory

// DRAM, and neither in the RMP nor in the TMR.
Status check_readable(const Firmware& firmware, Request& request, const MemoryRange& range);
// The same; with SNP INIT all its pages are FIRMWARE or DEFAULT (firmware sheet 7.1).
Status check_writable(const Firmware& firmware, Request& request, const MemoryRange& range);

// Memory of a guest: the start is a multiple of 16 (INVALID_ADDRESS), the length a multiple above
// zero (INVALID_LENGTH).
Status check_granules(Request& request, const MemoryRange& range);

// As seen under the key; the range was checked.
std::vector<u8> read_memory(Firmware& firmware, const MemoryRange& range, memory::KeyId key);
void write_memory(Firmware& firmware, SystemPhysical at, std::span<const u8> bytes,
                  memory::KeyId key);

}  // namespace softsnp::psp

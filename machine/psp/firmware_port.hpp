// The secure processor's own way to memory: DRAM as the bus sees it, and RMP entries. It is not
// subject to RMP checks; the firmware makes its own, by page state.
#pragma once

#include <span>

#include "arch/psp/command.hpp"
#include "base/bytes.hpp"
#include "machine/memory/rmp/page_state.hpp"
#include "machine/memory/rmp/rmp.hpp"
#include "machine/psp/events.hpp"

namespace softsnp::psp {

using memory::PageState;

class FirmwarePort {
 public:
  FirmwarePort(memory::Dram& dram, memory::Rmp& rmp) : dram_(dram), rmp_(rmp) {}

  // An address from a command buffer: the C-bit may be set and is ignored (firmware sheet 1.6).
  static SystemPhysical address(u64 value) { return SystemPhysical(value & ~bit(c_bit)); }

  // As the bus sees it. False if some of it is not DRAM; then nothing was done.
  bool read(SystemPhysical at, std::span<u8> to);
  bool write(SystemPhysical at, std::span<const u8> from);
  template <class T>
  bool read_value(SystemPhysical at, T& value) {
    return read(at, {reinterpret_cast<u8*>(&value), sizeof value});
  }
  template <class T>
  bool write_value(SystemPhysical at, const T& value) {
    return write(at, {reinterpret_cast<const u8*>(&value), sizeof value});
  }
  bool in_dram(SystemPhysical at, u64 bytes) const { return dram_.contains(at, bytes); }

  // Any byte of [at, at + bytes) belongs to the RMP itself.
  bool touches_rmp(SystemPhysical at, u64 bytes) const;
  PageState state(SystemPhysical page) const { return memory::page_state(rmp_, page); }
  PageView view(SystemPhysical page) const;

  // Changes an entry; command is named as the cause.
  void write_entry(SystemPhysical page, const snp::RmpEntry& entry, Command command);
  void write_page(SystemPhysical page, PageSize size, const snp::RmpEntry& entry, Command command);

  memory::Dram& dram() { return dram_; }
  memory::Rmp& rmp() { return rmp_; }
  const memory::Rmp& rmp() const { return rmp_; }

  static constexpr unsigned c_bit = 51;  // hardware sheet 2.2

 private:
  memory::Dram& dram_;
  memory::Rmp& rmp_;
};

// Entries that the firmware writes (firmware sheet 1.5). It keeps LOCK equal to IMMUTABLE.
constexpr snp::RmpEntry firmware_entry() {
  return {0x8000000000000005, 0};
}
constexpr snp::RmpEntry context_entry() {
  return {0xA000000000000005, 0};
}
constexpr snp::RmpEntry hv_fixed_entry() {
  return {0x4, 0};
}
// The page is handed back: IMMUTABLE and LOCK go, the rest stays.
constexpr snp::RmpEntry mutable_again(snp::RmpEntry entry) {
  entry.set_immutable(false);
  entry.set_locked(false);
  return entry;
}

}  // namespace softsnp::psp

#include "observe/guest_tables.hpp"

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"

namespace softsnp::observe {
namespace {

using namespace x86;

constexpr u64 encrypted_bit = bit(snp::c_bit);

std::optional<u64> entry_at(memory::Dram& dram, SystemPhysical at, memory::KeyId key) {
  if (!dram.contains(at, 8)) {
    return std::nullopt;
  }
  u8 bytes[8];
  dram.read(at, key, bytes);
  return load_le<u64>(bytes);
}

u64 index_of(u64 address, unsigned level) {
  return (address >> (page_shift + 9 * level)) & 511;
}

std::optional<SystemPhysical> nested(memory::Dram& dram, SystemPhysical root, GuestPhysical gpa) {
  SystemPhysical table = root.page();
  for (unsigned level = 4; level-- > 0;) {
    const auto entry =
        entry_at(dram, table + index_of(gpa.value(), level) * 8, memory::KeyId::none);
    if (!entry || (*entry & pte::present) == 0) {
      return std::nullopt;
    }
    const u64 span = u64{1} << (page_shift + 9 * level);
    if (level == 0 || (*entry & pte::large) != 0) {
      const u64 base = *entry & pte::address_mask & ~encrypted_bit & ~(span - 1);
      return SystemPhysical(base + (gpa.value() & (span - 1)));
    }
    table = SystemPhysical(*entry & pte::address_mask & ~encrypted_bit);
  }
  return std::nullopt;
}

}  // namespace

std::optional<GuestLeaf> find_guest_leaf(memory::Dram& dram, const cpu::GuestContext& guest,
                                         u64 cr3, GuestVirtual address) {
  // Table walks go with the guest's key whatever the C-bits say (hardware sheet 2.1).
  const memory::KeyId key = guest.sev ? memory::key_of(guest.asid) : memory::KeyId::none;
  GuestLeaf leaf;
  u64 table = cr3;
  for (unsigned level = 4; level-- > 0;) {
    const GuestPhysical at(table & pte::address_mask & ~encrypted_bit);
    const auto frame = guest.nested_paging ? nested(dram, guest.nested_cr3, at)
                                           : std::optional(SystemPhysical(at.value()));
    if (!frame) {
      return std::nullopt;
    }
    leaf.tables[level] = frame->page();
    const auto entry = entry_at(dram, *frame + index_of(address.value(), level) * 8, key);
    if (!entry || (*entry & pte::present) == 0) {
      return std::nullopt;
    }
    if (level == 0 || (level < 3 && (*entry & pte::large) != 0)) {
      leaf.value = *entry;
      leaf.level = level;
      return leaf;
    }
    table = *entry;
  }
  return std::nullopt;
}

}  // namespace softsnp::observe

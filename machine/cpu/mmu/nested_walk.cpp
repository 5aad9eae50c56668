// Nested paging: gPA to sPA by the tables at nCR3. APM2 15.25; hardware sheet 2.1, 5.2-5.4, 7.2.
#include <cstring>

#include "base/bytes.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {
namespace {

using namespace x86;

// Bits of a nested entry that must be zero: the range that encryption takes off the host's
// physical width, below the C-bit. KVM sets them on purpose for MMIO (hardware sheet 7.2).
constexpr u64 reserved_address_bits = mask_bits(snp::c_bit - 1, snp::host_physical_address_bits);
constexpr u64 host_c_bit = bit(snp::c_bit);
constexpr u64 host_address = mask_bits(snp::host_physical_address_bits - 1, 12);

constexpr u64 entry_span(unsigned level) {
  return u64{1} << (page_shift + 9 * level);
}

bool reserved(u64 entry, unsigned level) {
  if ((entry & reserved_address_bits) != 0) {
    return true;
  }
  const bool large = (entry & pte::large) != 0;
  if (level == 3) {
    return large;
  }
  return large && level != 0 && (entry & mask_bits(11 + 9 * level, 13)) != 0;
}

}  // namespace

memory::Asker Mmu::asker() const {
  using memory::AskerKind;
  const AskerKind kind = !guest_.guest ? AskerKind::host
                         : guest_.snp  ? AskerKind::snp_guest
                                       : AskerKind::guest;
  return {kind, guest_.asid, guest_.vmpl};
}

// Hardware sheet 2.1: the guest's table wins, then the nested table.
memory::KeyId Mmu::key_for(bool encrypted, bool host_encrypted) const {
  if (encrypted) {
    return memory::key_of(guest_.asid);
  }
  return host_encrypted ? memory::KeyId::host : memory::KeyId::none;
}

u8* Mmu::host_table(SystemPhysical at) {
  if (!dram_.contains(at.page(), page_size)) {
    return nullptr;
  }
  return dram_.frame(at.page(), memory::KeyId::none) + at.page_offset();
}

bool Mmu::nested_fault(Core& core, GuestPhysical gpa, Access access, Purpose purpose,
                       bool encrypted, u64 bits) {
  // Nested accesses are user accesses; table walks count as writes unless VMCB 090h[6]
  // (hardware sheet 5.4).
  const bool table = purpose == Purpose::table;
  const bool write = table ? !guest_.read_only_tables : access == Access::write;
  const u64 code = bits | pf_error::user | (write ? pf_error::write : 0) |
                   (!table && access == Access::fetch ? pf_error::fetch : 0) |
                   (table ? snp::npf::page_table : snp::npf::final_gpa) |
                   (encrypted ? snp::npf::enc : 0);
  core.fault = {FaultKind::nested, 0, false, code, gpa.value(), core.fault.linear};
  return false;
}

bool Mmu::nested(Core& core, GuestPhysical gpa, Access access, Purpose purpose, bool encrypted,
                 NestedEntry& out) {
  if (!guest_.nested_paging) {
    out = {gpa.page().value(),
           SystemPhysical(gpa.page().value()),
           PageSize::size_4k,
           true,
           true,
           false,
           true};
    return true;
  }
  NestedEntry& cached = nested_[gpa.page_number() % nested_entries];
  const bool write = purpose == Purpose::table ? !guest_.read_only_tables : access == Access::write;
  if (cached.gpa_page == gpa.page().value() && (!write || cached.writable) &&
      (access != Access::fetch || purpose == Purpose::table || cached.executable)) {
    out = cached;
    return true;
  }
  if (!nested_walk(core, gpa, access, purpose, encrypted, out)) {
    return false;
  }
  cached = out;
  return true;
}

bool Mmu::nested_walk(Core& core, GuestPhysical gpa, Access access, Purpose purpose, bool encrypted,
                      NestedEntry& out) {
  const auto fault = [&](u64 bits) {
    return nested_fault(core, gpa, access, purpose, encrypted, bits);
  };
  if ((gpa.value() >> 48) != 0) {
    return fault(0);
  }
  const bool table = purpose == Purpose::table;
  const bool write = table ? !guest_.read_only_tables : access == Access::write;
  const bool execute = !table && access == Access::fetch;
  SystemPhysical next = guest_.nested_cr3;
  u8* entries[4] = {};
  bool writable = true, executable = true;
  unsigned level = 3;
  u64 entry = 0;
  for (;; --level) {
    const u64 index = get_bits(gpa.value(), 20 + 9 * level, 12 + 9 * level);
    u8* at = host_table(next + index * 8);
    if (at == nullptr) {
      return fault(0);
    }
    entries[level] = at;
    entry = load_le<u64>(at);
    if ((entry & pte::present) == 0) {
      return fault(0);
    }
    if (reserved(entry, level)) {
      return fault(pf_error::present | pf_error::reserved);
    }
    writable = writable && (entry & pte::write) != 0;
    executable = executable && (entry & pte::nx) == 0;
    if ((entry & pte::user) == 0) {
      return fault(pf_error::present);
    }
    if (level == 0 || (level <= 2 && (entry & pte::large) != 0)) {
      break;
    }
    next = SystemPhysical(entry & host_address);
  }
  if ((write && !writable) || (execute && !executable)) {
    return fault(pf_error::present);
  }
  for (unsigned l = 4; l-- > level;) {
    const u64 had = load_le<u64>(entries[l]);
    const u64 want = had | pte::accessed | (l == level && write ? pte::dirty : 0);
    if (want != had) {
      store_le(entries[l], want);
    }
  }
  const u64 span = entry_span(level);
  const u64 base = entry & host_address & ~(span - 1);
  out.gpa_page = gpa.page().value();
  out.spa = SystemPhysical(base + (gpa.page().value() & (span - 1)));
  out.size = level == 0 ? PageSize::size_4k : PageSize::size_2m;
  out.writable = writable && (write || (entry & pte::dirty) != 0);
  out.executable = executable;
  out.host_encrypted = (entry & host_c_bit) != 0;
  out.table_allowed = false;
  return true;
}

}  // namespace softsnp::cpu

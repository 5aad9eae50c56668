// Guest paging: linear to gPA by the tables at CR3, in every paging mode. APM2 chapter 5; the
// C-bit by hardware sheet 2.1, 2.2.
#include "base/bytes.hpp"
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {

using namespace x86;

// State of one walk through the guest's tables.
struct Mmu::GuestWalk {
  u8* entries[4] = {};  // host pointers of the entries used, by level
  u64 values[4] = {};
  bool narrow = false;  // 4-byte entries
  unsigned top = 0, leaf = 0;
  bool writable = true, user = true, executable = true, global = false, c_bit = false;
  u64 address = 0;  // gPA, C-bit stripped
  PageSize size = PageSize::size_4k;
};

namespace {

// A guest in long mode or legacy PAE chooses by C-bit; any other data is always encrypted.
bool has_c_bits(const CoreState& s) {
  return (s.cr0 & cr0::pg) != 0 && (s.long_mode() || (s.cr4 & cr4::pae) != 0);
}

}  // namespace

bool Mmu::page_fault(Core& core, u64 linear, Access access, Rights rights, u64 bits) {
  const CoreState& s = core.state;
  const bool fetch_bit =
      access == Access::fetch && ((s.efer & efer::nxe) != 0 || (s.cr4 & cr4::smep) != 0);
  const u64 code = bits | (access == Access::write ? pf_error::write : 0) |
                   (rights == Rights::user ? pf_error::user : 0) |
                   (fetch_bit ? pf_error::fetch : 0);
  core.fault = {FaultKind::exception, static_cast<u8>(Vector::pf), true, code, linear, linear};
  return false;
}

// Host pointer into a page of the guest's tables; always under the guest's key.
u8* Mmu::guest_table(Core& core, GuestPhysical at) {
  NestedEntry page;
  if (!nested(core, at, Access::read, Purpose::table, guest_.sev, page)) {
    return nullptr;
  }
  if (!dram_.contains(page.spa, page_size)) {
    nested_fault(core, at, Access::read, Purpose::table, guest_.sev, 0);
    return nullptr;
  }
  if (rmp_.enabled() && !page.table_allowed) {
    memory::AccessRequest request{
        asker(), memory::AccessKind::table_walk, guest_.sev, false, page.spa, at.page(), page.size};
    const memory::Rule rule = ask(core, core.fault.linear, request);
    if (rule == memory::Rule::validated) {
      core.fault = {FaultKind::not_validated, 0, false, 0, core.fault.linear, core.fault.linear};
      return nullptr;
    }
    if (rule != memory::Rule::none) {
      nested_fault(
          core, at, Access::read, Purpose::table, guest_.sev,
          pf_error::present | snp::npf::rmp | (rule == memory::Rule::vmpl ? snp::npf::vmpl : 0));
      return nullptr;
    }
    if (guest_.nested_paging) {
      nested_[at.page_number() % nested_entries].table_allowed = true;
    }
  }
  u8* host = dram_.frame(page.spa, key_for(guest_.sev, page.host_encrypted));
  catch_up(core);
  return host + at.page_offset();
}

bool Mmu::guest_walk(Core& core, u64 linear, Access access, Rights rights, Translation& out) {
  const CoreState& s = core.state;
  core.fault.linear = linear;
  GuestWalk walk;
  if ((s.cr0 & cr0::pg) == 0) {
    walk.address = static_cast<u32>(linear);
    walk.c_bit = true;
    return finish(core, linear, access, walk, out);
  }
  const bool long_mode = s.long_mode();
  const bool pae = (s.cr4 & cr4::pae) != 0;
  walk.narrow = !pae;
  walk.top = long_mode ? 3 : pae ? 2 : 1;
  const unsigned index_bits = walk.narrow ? 10 : 9;
  const unsigned entry_bytes = walk.narrow ? 4 : 8;
  const u64 c_mask = guest_.sev && !walk.narrow ? bit(c_bit_position) : 0;
  u64 next = long_mode ? s.cr3 & pte::address_mask & ~c_mask
             : pae     ? s.cr3 & 0xFFFFFFE0
                       : s.cr3 & 0xFFFFF000;
  for (unsigned level = walk.top;; --level) {
    const unsigned shift = page_shift + index_bits * level;
    const u64 index = (linear >> shift) & ((level == 2 && !long_mode) ? 3 : (1u << index_bits) - 1);
    u8* at = guest_table(core, GuestPhysical(next + index * entry_bytes));
    if (at == nullptr) {
      return false;
    }
    const u64 entry = walk.narrow ? load_le<u32>(at) : load_le<u64>(at);
    walk.entries[level] = at;
    walk.values[level] = entry;
    if ((entry & pte::present) == 0) {
      return page_fault(core, linear, access, rights, 0);
    }
    const bool pdpte = level == 2 && !long_mode;
    const bool may_be_large =
        level == 1 ? (!walk.narrow || (s.cr4 & cr4::pse) != 0) : (level == 2 && long_mode);
    const bool large = may_be_large && (entry & pte::large) != 0;
    bool bad = !walk.narrow && (entry & pte::nx) != 0 && ((s.efer & efer::nxe) == 0 || pdpte);
    bad = bad || (guest_.vtom && (entry & bit(c_bit_position)) != 0);
    bad = bad || (level == 3 && (entry & pte::large) != 0) || (pdpte && (entry & 0x1E6) != 0);
    // Large pages: address bits below the page size, but for the PAT bit (12).
    bad = bad || (large && !walk.narrow && (entry & mask_bits(shift - 1, 13)) != 0);
    bad = bad || (large && walk.narrow && (entry & bit(21)) != 0);
    if (bad) {
      return page_fault(core, linear, access, rights, pf_error::present | pf_error::reserved);
    }
    if (!pdpte) {
      walk.writable = walk.writable && (entry & pte::write) != 0;
      walk.user = walk.user && (entry & pte::user) != 0;
      walk.executable = walk.executable && (walk.narrow || (entry & pte::nx) == 0);
    }
    if (level == 0 || large) {
      walk.leaf = level;
      walk.global = (entry & pte::global) != 0 && (s.cr4 & cr4::pge) != 0;
      walk.c_bit = (entry & c_mask) != 0 || walk.narrow;
      const u64 span = u64{1} << shift;
      u64 base = entry & pte::address_mask & ~c_mask;
      if (walk.narrow && large) {  // PSE-36: bits 20:13 are address bits 39:32
        base = (entry & 0xFFC00000) | (get_bits(entry, 20, 13) << 32);
      }
      walk.address = (base & ~(span - 1)) | (linear & (span - 1));
      walk.size = large ? PageSize::size_2m : PageSize::size_4k;
      break;
    }
    next = entry & pte::address_mask & ~c_mask;
  }
  const bool user_access = rights == Rights::user;
  bool denied = user_access && !walk.user;
  if (access == Access::write) {
    denied = denied || (!walk.writable && (user_access || (s.cr0 & cr0::wp) != 0));
  }
  if (access == Access::fetch) {
    denied = denied || (!walk.executable && (s.efer & efer::nxe) != 0) ||
             (!user_access && walk.user && (s.cr4 & cr4::smep) != 0);
  } else if (!user_access && walk.user && (s.cr4 & cr4::smap) != 0) {
    denied = denied || rights == Rights::implicit || (s.system_flags & rflags::ac) == 0;
  }
  if (denied) {
    return page_fault(core, linear, access, rights, pf_error::present);
  }
  return finish(core, linear, access, walk, out);
}

// Accessed and dirty bits, then the nested translation of the final page.
bool Mmu::finish(Core& core, u64 linear, Access access, const GuestWalk& walk, Translation& out) {
  const CoreState& s = core.state;
  const bool paging = (s.cr0 & cr0::pg) != 0;
  if (paging) {
    for (unsigned level = walk.top + 1; level-- > walk.leaf;) {
      if (level == 2 && !s.long_mode()) {
        continue;  // PDPTEs have no accessed bit
      }
      const u64 want = walk.values[level] | pte::accessed |
                       (level == walk.leaf && access == Access::write ? pte::dirty : 0);
      if (want == walk.values[level]) {
        continue;
      }
      if (walk.narrow) {
        store_le(walk.entries[level], static_cast<u32>(want));
      } else {
        store_le(walk.entries[level], want);
      }
    }
  }
  bool encrypted = false;
  if (guest_.sev) {
    if (access == Access::fetch || !has_c_bits(s)) {
      encrypted = true;
    } else if (guest_.vtom) {
      encrypted = walk.address < guest_.virtual_tom;
    } else {
      encrypted = walk.c_bit;
    }
  }
  out.gpa = GuestPhysical(walk.address);
  NestedEntry page;
  core.fault.linear = linear;
  if (!nested(core, out.gpa, access, Purpose::final_page, encrypted, page)) {
    return false;
  }
  const bool dirty =
      !paging || access == Access::write || (walk.values[walk.leaf] & pte::dirty) != 0;
  out.spa = page.spa + out.gpa.page_offset();
  out.encrypted = encrypted;
  out.key = key_for(encrypted, page.host_encrypted);
  out.mapping_size = guest_.nested_paging ? page.size : walk.size;
  out.writable =
      page.writable && dirty && (walk.writable || (core.state.cpl != 3 && (s.cr0 & cr0::wp) == 0));
  out.user = walk.user;
  out.global = walk.global;
  return true;
}

}  // namespace softsnp::cpu

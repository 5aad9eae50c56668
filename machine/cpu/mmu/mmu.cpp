#include "machine/cpu/mmu/mmu.hpp"

#include <cstring>

namespace softsnp::cpu {

using namespace x86;

namespace {

bool canonical(const CoreState& s, u64 linear) {
  return !s.long_mode() || (static_cast<i64>(linear << 16) >> 16) == static_cast<i64>(linear);
}

}  // namespace

memory::Rule Mmu::ask(const Core& core, u64 linear, const memory::AccessRequest& request) {
  const memory::Rule rule = rmp_.check(request);
  if (rule != memory::Rule::none) {
    const bool covered = rmp_.covered(request.spa);
    denial_ = {rule,    request,
               linear,  core.state.rip,
               covered, covered ? rmp_.effective_entry(request.spa) : snp::RmpEntry()};
  }
  return rule;
}

bool Mmu::check_rmp(Core& core, u64 linear, Access access, Rights rights, const Translation& t) {
  if (!rmp_.enabled()) {
    return true;
  }
  using memory::AccessKind;
  const AccessKind kind = access == Access::read    ? AccessKind::read
                          : access == Access::write ? AccessKind::write
                                                    : AccessKind::fetch;
  const memory::Rule rule = ask(
      core, linear,
      {asker(), kind, t.encrypted, rights == Rights::user, t.spa, t.gpa.page(), t.mapping_size});
  if (rule == memory::Rule::none) {
    return true;
  }
  if (rule == memory::Rule::validated) {
    core.fault = {FaultKind::not_validated, 0, false, 0, linear, linear};
    return false;
  }
  core.fault.linear = linear;
  if (!guest_.guest) {
    return page_fault(core, linear, access, rights, pf_error::present | pf_error::rmp);
  }
  return nested_fault(
      core, t.gpa, access, Purpose::final_page, t.encrypted,
      pf_error::present | snp::npf::rmp | (rule == memory::Rule::vmpl ? snp::npf::vmpl : 0));
}

bool Mmu::write_allowed_too(Core&, const Translation& t, Rights rights) const {
  return !rmp_.enabled() ||
         rmp_.check({asker(), memory::AccessKind::write, t.encrypted, rights == Rights::user, t.spa,
                     t.gpa.page(), t.mapping_size}) == memory::Rule::none;
}

TlbEntry& Mmu::fill(Core& core, u64 linear, bool writable, const Translation& t, u8* host) {
  const u64 page = linear & ~page_offset_mask;
  TlbEntry& entry = core.tlb[tlb_index(linear)];
  entry.read_tag = page;
  entry.write_tag = writable ? page : ~u64{0};
  entry.addend = reinterpret_cast<u64>(host) - page;
  entry.frame = t.spa.page_number() | (t.global ? TlbEntry::global_flag : 0);
  ++core.counters.tlb_fills;
  return entry;
}

void Mmu::watch_stores(SystemPhysical page) {
  store_watch_.add(page);
  code_.watch_stores(page);
}

void Mmu::note_watched_write(Core& core, SystemPhysical at, u32 size) {
  blocks().written(core, at.page(), static_cast<u32>(at.page_offset()), size);
  if (store_watch_.contains(at)) {
    store_watch_.begin(
        {at, size, core.state.rip, static_cast<u64>(core.budget_start - core.budget)});
    unsettled_ = true;
  }
}

u8* Mmu::access_page(Core& core, u64 linear, u32 size, Access access, Rights rights, Want want) {
  settle();
  catch_up(core);
  if (!canonical(core.state, linear)) {
    core.fault = {FaultKind::exception, static_cast<u8>(Vector::gp), true, 0, 0, linear};
    return nullptr;
  }
  Translation t;
  if (!guest_walk(core, linear, access, rights, t) || !check_rmp(core, linear, access, rights, t)) {
    return nullptr;
  }
  if (!dram_.contains(t.spa.page(), page_size)) {
    std::memset(open_bus_, 0xFF, sizeof open_bus_);
    return open_bus_ + t.spa.page_offset();
  }
  if (access == Access::write && dram_.watched(t.spa)) {
    note_watched_write(core, t.spa, size);
  }
  if (dram_.has_bus_layer()) {
    return through_bus_layer(t, size, access);
  }
  if (want == Want::bytes) {
    if (access == Access::write && dram_.first_write(t.spa)) {
      return begin_first_write(core, linear, t);
    }
    if (access == Access::read && dram_.glance(t.spa, t.key)) {
      return copy_of(t, size);
    }
  }
  u8* host = dram_.frame(t.spa.page(), t.key);
  catch_up(core);
  if (want != Want::once) {
    const bool writable =
        !dram_.watched(t.spa) &&
        (access == Access::write || (t.writable && write_allowed_too(core, t, rights)));
    // A VMPL mask may allow writes and not reads; then nothing is cached (hardware sheet 6.1:
    // write without read faults any data access).
    fill(core, linear, writable, t, host);
    dram_.note_pointer(t.spa);
  }
  return host + t.spa.page_offset();
}

u8* Mmu::translate(Core& core, u64 linear, u32 size, Access access) {
  return access_page(core, linear, size, access, rights_of(core), Want::pointer);
}

u8* Mmu::reach(Core& core, u64 linear, u32 size, Access access) {
  return access_page(core, linear, size, access, rights_of(core), Want::bytes);
}

const u8* Mmu::fetch(Core& core, u64 linear, SystemPhysical& at) {
  catch_up(core);
  const u64 page = linear & ~page_offset_mask;
  FetchEntry& entry = fetch_[(linear >> page_shift) % fetch_entries];
  if (entry.linear_page != page || entry.context != core.context) {
    Translation t;
    if (!canonical(core.state, linear)) {
      core.fault = {FaultKind::exception, static_cast<u8>(Vector::gp), true, 0, 0, linear};
      return nullptr;
    }
    const Rights rights = rights_of(core);
    if (!guest_walk(core, linear, Access::fetch, rights, t) ||
        !check_rmp(core, linear, Access::fetch, rights, t)) {
      return nullptr;
    }
    if (!dram_.contains(t.spa.page(), page_size)) {
      std::memset(open_bus_, 0xFF, sizeof open_bus_);
      at = t.spa;
      return open_bus_ + t.spa.page_offset();
    }
    if (dram_.has_bus_layer()) {
      settle();
      dram_.read(t.spa.page(), t.key, bus_buffer_);
      at = t.spa;
      return bus_buffer_ + t.spa.page_offset();
    }
    // Code is always fetched with the guest's key (hardware sheet 2.1); in a plain guest t.key
    // has no encryption.
    const u8* host = dram_.frame(t.spa.page(), t.key);
    catch_up(core);
    dram_.note_pointer(t.spa);
    entry = {page, core.context, t.spa.page(), host, t.global};
  }
  fetched_global_ = entry.global;
  at = entry.spa + (linear & page_offset_mask);
  return entry.host + (linear & page_offset_mask);
}

bool Mmu::walk(Core& core, u64 linear, Access access, Translation& out) {
  catch_up(core);
  if (!canonical(core.state, linear)) {
    core.fault = {FaultKind::exception, static_cast<u8>(Vector::gp), true, 0, 0, linear};
    return false;
  }
  return guest_walk(core, linear, access, rights_of(core), out);
}

bool Mmu::read_system(Core& core, u64 linear, void* to, u32 size) {
  auto* out = static_cast<u8*>(to);
  while (size != 0) {
    const u64 room = page_size - (linear & page_offset_mask);
    const u32 part = room < size ? static_cast<u32>(room) : size;
    const u8* host = access_page(core, linear, part, Access::read, Rights::implicit, Want::once);
    if (host == nullptr) {
      return false;
    }
    std::memcpy(out, host, part);
    out += part;
    linear += part;
    size -= part;
  }
  return true;
}

bool Mmu::write_system(Core& core, u64 linear, const void* from, u32 size) {
  const auto* in = static_cast<const u8*>(from);
  const u64 first_room = page_size - (linear & page_offset_mask);
  if (first_room < size &&
      (access_page(core, linear, 1, Access::write, Rights::implicit, Want::once) == nullptr ||
       access_page(core, linear + first_room, 1, Access::write, Rights::implicit, Want::once) ==
           nullptr)) {
    return false;
  }
  while (size != 0) {
    const u64 room = page_size - (linear & page_offset_mask);
    const u32 part = room < size ? static_cast<u32>(room) : size;
    u8* host = access_page(core, linear, part, Access::write, Rights::implicit, Want::once);
    if (host == nullptr) {
      return false;
    }
    std::memcpy(host, in, part);
    in += part;
    linear += part;
    size -= part;
  }
  return true;
}

}  // namespace softsnp::cpu

#include "machine/cpu/mmu/mmu.hpp"

#include <cstring>

namespace softsnp::cpu {

using namespace x86;

namespace {

bool canonical(const CoreState& s, u64 linear) {
  return !s.long_mode() || (static_cast<i64>(linear << 16) >> 16) == static_cast<i64>(linear);
}

constexpr u64 global_flag = u64{1} << 63;

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

void Mmu::fill(Core& core, u64 linear, bool readable, bool writable, const Translation& t,
               u8* host) {
  const u64 page = linear & ~page_offset_mask;
  TlbEntry& entry = core.tlb[tlb_index(linear)];
  entry.read_tag = readable ? page : ~u64{0};
  entry.write_tag = writable ? page : ~u64{0};
  entry.addend = reinterpret_cast<u64>(host) - page;
  entry.frame = t.spa.page_number() | (t.global ? global_flag : 0);
  dram_.note_pointer(t.spa);
  ++core.counters.tlb_fills;
}

void Mmu::settle_slow() {
  unsettled_ = false;
  if (bus_write_size_ != 0) {
    dram_.write(bus_write_at_, bus_write_key_,
                std::span(bus_buffer_ + bus_write_at_.page_offset(), bus_write_size_));
    bus_write_size_ = 0;
  }
  if (store_watch_.has_news()) {
    store_watch_.tell();
  }
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

u8* Mmu::through_bus_layer(const Translation& t, u32 size, Access access) {
  u8* at = bus_buffer_ + t.spa.page_offset();
  dram_.read(t.spa, t.key, std::span(at, size));
  if (access == Access::write) {
    bus_write_at_ = t.spa;
    bus_write_key_ = t.key;
    bus_write_size_ = size;
    unsettled_ = true;
  }
  return at;
}

u8* Mmu::access_page(Core& core, u64 linear, u32 size, Access access, Rights rights,
                     bool fill_tlb) {
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
  u8* host = dram_.frame(t.spa.page(), t.key);
  catch_up(core);
  if (fill_tlb) {
    const bool writable =
        !dram_.watched(t.spa) &&
        (access == Access::write || (t.writable && write_allowed_too(core, t, rights)));
    // A VMPL mask may allow writes and not reads; then nothing is cached (hardware sheet 6.1:
    // write without read faults any data access).
    fill(core, linear, true, writable, t, host);
  }
  return host + t.spa.page_offset();
}

void Mmu::end_direct_writes(Core& core, u64 page_number) {
  for (auto& tlb : core.tlbs) {
    for (TlbEntry& entry : tlb) {
      if ((entry.frame & ~global_flag) == page_number) {
        entry.write_tag = ~u64{0};
      }
    }
  }
}

u8* Mmu::translate(Core& core, u64 linear, u32 size, Access access) {
  return access_page(core, linear, size, access, rights_of(core), true);
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
    const u8* host = access_page(core, linear, part, Access::read, Rights::implicit, false);
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
      (access_page(core, linear, 1, Access::write, Rights::implicit, false) == nullptr ||
       access_page(core, linear + first_room, 1, Access::write, Rights::implicit, false) ==
           nullptr)) {
    return false;
  }
  while (size != 0) {
    const u64 room = page_size - (linear & page_offset_mask);
    const u32 part = room < size ? static_cast<u32>(room) : size;
    u8* host = access_page(core, linear, part, Access::write, Rights::implicit, false);
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

void Mmu::clear_tlbs(Core& core, bool keep_global) {
  for (auto& tlb : core.tlbs) {
    for (TlbEntry& entry : tlb) {
      if (!keep_global || (entry.frame & global_flag) == 0) {
        entry.read_tag = ~u64{0};
        entry.write_tag = ~u64{0};
      }
    }
  }
  if (keep_global) {
    core.bump_local_generation();
    // Fetches of non-global pages by code whose context did not change.
    for (FetchEntry& entry : fetch_) {
      if (!entry.global) {
        entry.linear_page = ~u64{0};
      }
    }
  } else {
    core.bump_generation();
  }
  ++core.counters.tlb_flushes;
}

void Mmu::flush_all(Core& core) {
  clear_tlbs(core, false);
  for (NestedEntry& entry : nested_) {
    entry.gpa_page = ~u64{0};
  }
}

void Mmu::flush_non_global(Core& core) {
  clear_tlbs(core, true);
}

void Mmu::flush_page(Core& core, u64 linear) {
  const u64 page = linear & ~page_offset_mask;
  for (auto& tlb : core.tlbs) {
    TlbEntry& entry = tlb[tlb_index(linear)];
    if (entry.read_tag == page || entry.write_tag == page) {
      entry.read_tag = ~u64{0};
      entry.write_tag = ~u64{0};
    }
  }
  core.bump_generation();
}

void Mmu::drop_frames(Core& core, u64 first, u64 count) {
  for (auto& tlb : core.tlbs) {
    for (TlbEntry& entry : tlb) {
      if ((entry.frame & ~global_flag) - first < count) {
        entry.read_tag = ~u64{0};
        entry.write_tag = ~u64{0};
      }
    }
  }
  for (NestedEntry& entry : nested_) {
    if (entry.spa.page_number() - first < count) {
      entry.gpa_page = ~u64{0};
    }
  }
  for (FetchEntry& entry : fetch_) {
    if (entry.linear_page != ~u64{0} && entry.spa.page_number() - first < count) {
      entry.linear_page = ~u64{0};
      core.bump_generation();
    }
  }
}

// Code: the store has dropped what changed already; links and the jump cache are the core's own.
void Mmu::apply(Core& core, const memory::Invalidation& change) {
  switch (change.change) {
    case memory::Change::code_begins:
      end_direct_writes(core, change.page_number);
      return;
    case memory::Change::code_ends:
      core.bump_generation();
      return;
    case memory::Change::rmp_entry:
    case memory::Change::form:
    case memory::Change::contents:
      break;
  }
  const u64 pages = change.page_count();
  drop_frames(core, change.page_number, pages);
  if (change.change != memory::Change::rmp_entry) {
    return;
  }
  for (u64 p = 0; p < pages; ++p) {
    if (dram_.watched(SystemPhysical((change.page_number + p) << page_shift))) {
      core.bump_generation();
      return;
    }
  }
}

void Mmu::catch_up_slow(Core& core) {
  constexpr u64 worth_scanning = 24;
  code_.catch_up(core);
  const memory::InvalidationLog& log = dram_.log();
  const u64 end = log.number();
  if (end - log_seen_ > worth_scanning) {
    flush_all(core);
  } else {
    for (u64 i = log_seen_; i < end; ++i) {
      apply(core, log.at(i));
    }
  }
  log_seen_ = end;
}

void Mmu::mode_changed(Core& core) {
  const CoreState& s = core.state;
  const PagingKey now{s.cr0 & (cr0::pg | cr0::wp | cr0::pe),
                      s.cr4 & (cr4::pae | cr4::pse | cr4::pge | cr4::smep | cr4::smap | cr4::la57),
                      s.efer & (efer::lma | efer::nxe), guest_};
  if (!(now == paging_)) {
    paging_ = now;
    flush_all(core);
  }
  TlbMode mode = TlbMode::supervisor;
  if (s.cpl == 3) {
    mode = TlbMode::user;
  } else if ((s.cr4 & cr4::smap) == 0 || (s.system_flags & rflags::ac) != 0) {
    mode = TlbMode::supervisor_user_access;
  }
  core.tlb = core.tlbs[static_cast<unsigned>(mode)];
  u32 code = s.cpl == 3 ? code_mode::user : 0;
  code |= s.cpl != 3 && (s.cr4 & cr4::pge) != 0 ? code_mode::global_code : 0;
  const bool code64 = s.code64();
  if (code64) {
    code |= code_mode::size64;
  } else {
    code |= (s.seg[1].attributes & svm::attribute::default_big) != 0 ? code_mode::size32
                                                                     : code_mode::size16;
    code |= (s.seg[2].attributes & svm::attribute::default_big) != 0 ? code_mode::stack32 : 0;
  }
  core.set_code_mode(code);
  for (unsigned i = 0; i < segment_count; ++i) {
    const bool flat = code64 && i != static_cast<unsigned>(Segment::fs) &&
                      i != static_cast<unsigned>(Segment::gs);
    const u64 base = flat ? 0 : s.seg[i].base;
    if (i == static_cast<unsigned>(Segment::cs) && core.seg_base[i] != base) {
      core.bump_generation();  // the same RIP is other code now
    }
    core.seg_base[i] = base;
  }
  core.flags_instructions_slow = s.cpl != 0 || s.v8086() || guest_.flags_intercepted;
}

}  // namespace softsnp::cpu

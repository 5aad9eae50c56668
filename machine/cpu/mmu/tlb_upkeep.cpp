// What makes translations stale: flushes, what the invalidation log says, changes of mode.
#include "machine/cpu/mmu/mmu.hpp"

namespace softsnp::cpu {

using namespace x86;

void Mmu::end_direct_writes(Core& core, u64 page_number) {
  for (auto& tlb : core.tlbs) {
    for (TlbEntry& entry : tlb) {
      if (entry.page_number() == page_number) {
        entry.write_tag = ~u64{0};
      }
    }
  }
}

void Mmu::clear_tlbs(Core& core, bool keep_global) {
  for (auto& tlb : core.tlbs) {
    for (TlbEntry& entry : tlb) {
      if (!keep_global || (entry.frame & TlbEntry::global_flag) == 0) {
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
      if (entry.page_number() - first < count) {
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

// The Reverse Map Table: entries in DRAM and everything that reads or changes them.
// Hardware sheet 1.4, 3, 4, 5, 6.3.
#pragma once

#include "arch/snp/rmp.hpp"
#include "machine/memory/dram/dram.hpp"
#include "machine/memory/events.hpp"
#include "machine/memory/rmp/access.hpp"
#include "machine/memory/rmp/history.hpp"
#include "machine/memory/rmp/in_use.hpp"
#include "machine/memory/rmp/table.hpp"

namespace softsnp::memory {

// Result of a guest's RMP instruction on a page that its walk has already translated.
struct GuestRmpOutcome {
  // none: result and carry are architectural outputs. Otherwise: the access check that failed;
  // page_size means NPF with RMP+SIZEM when sizem is set.
  Rule denied = Rule::none;
  bool sizem = false;
  snp::RmpResult result = snp::RmpResult::success;
  bool carry = false;  // PVALIDATE: Validated already had the value
};

// A guest page as the guest's RMP instructions see it after translation.
struct GuestPage {
  Asker asker;
  SystemPhysical spa;  // of the first byte of the operand
  GuestPhysical gpa;
  PageSize mapping_size = PageSize::size_4k;  // nested leaf; 1G counts as 2M
};

struct RmpQueryOutput {
  PageSize size = PageSize::size_4k;
  u8 mask = 0;
  bool vmsa = false;
};

class Rmp {
 public:
  // observer may be null; it must outlive the Rmp.
  explicit Rmp(Dram& dram, Observer* observer = nullptr)
      : dram_(dram), observer_(observer), table_(dram) {}

  // RMP_BASE / RMP_END as the MSRs hold them (end = last byte). Takes effect at once.
  void set_range(SystemPhysical base, SystemPhysical end);
  SystemPhysical base() const { return table_.base(); }
  SystemPhysical end() const { return table_.end(); }
  // SYSCFG[24] on; from here checks apply to every access.
  void set_enabled(bool on);
  bool enabled() const { return enabled_; }

  // sPA has an RMP entry (hardware sheet 1.4).
  bool covered(SystemPhysical at) const { return table_.covered(at); }
  // Every page of the 4K or 2M page that contains at has one.
  bool covered(SystemPhysical at, PageSize size) const { return table_.covered(at, size); }
  // The page's own 16 bytes, tails of 2M pages as stored. Requires covered().
  snp::RmpEntry entry(SystemPhysical at) const;
  // The entry that describes the page: the 2M-aligned one if that is an assigned 2M entry.
  snp::RmpEntry effective_entry(SystemPhysical at) const;
  // Firmware's direct write of one entry. Logs, reports and keeps counters right.
  void write_entry(SystemPhysical at, const snp::RmpEntry& value, const RmpCause& cause);
  // Same for a whole page of the given size: a 2M page writes base and 511 tails.
  void write_page(SystemPhysical at, PageSize size, const snp::RmpEntry& value,
                  const RmpCause& cause);

  // Host instructions; asid is the ASID of the executing context (non-zero: FAIL_PERMISSION).
  // Operand checks in the order of hardware sheet 4.4, 4.5, 4.8.
  snp::RmpResult rmpupdate(SystemPhysical at, const snp::RmpUpdate& value, Asid asid);
  snp::RmpResult psmash(SystemPhysical at, Asid asid);
  snp::RmpResult rmpread(SystemPhysical at, Asid asid, snp::RmpUpdate& out) const;

  // Guest instructions, after privilege checks and translation (hardware sheet 4.6-4.8).
  // gva_aligned: the operand's virtual address is aligned to `size`.
  GuestRmpOutcome pvalidate(const GuestPage& page, PageSize size, bool gva_aligned, bool validate,
                            u64 rip);
  GuestRmpOutcome rmpadjust(const GuestPage& page, PageSize size, bool gva_aligned, u64 target_vmpl,
                            u8 mask, bool vmsa, u64 rip);
  GuestRmpOutcome rmpquery(const GuestPage& page, u64 target_vmpl, RmpQueryOutput& out) const;

  // The decision table (hardware sheet 5.2). Rule::none = allowed. With the RMP disabled
  // everything is allowed.
  Rule check(const AccessRequest& request) const;
  // VMRUN's checks of the VMCB, AVIC and VMSA pages (hardware sheet 6.3).
  Rule check_host_page(SystemPhysical page) const;  // VMCB, SEV-ES VMSA, AVIC, HSAVE
  Rule check_snp_vmsa(SystemPhysical page, Asid asid) const;

  // In-use marks of VMCB, VMSA and AVIC pages while a vCPU runs (hardware sheet 5.2, 6.3): RMP
  // updates of the page return FAIL_INUSE. Counted.
  void begin_use(SystemPhysical page) { in_use_.begin(page); }
  void end_use(SystemPhysical page) { in_use_.end(page); }
  bool in_use(SystemPhysical page) const { return in_use_.any(page, PageSize::size_4k); }

  // Pages assigned to an ASID (bookkeeping counters, hardware sheet 1.4).
  u64 assigned_pages(Asid asid) const { return table_.assigned_pages(asid); }
  // The last changes, for reports: who changed this page.
  const RmpHistory& history() const { return history_; }
  // Advances on every change of any entry.
  u64 generation() const { return generation_; }

 private:
  // Hardware sheet 4.4 rows 4-6 and 8-10.
  snp::RmpResult rmpupdate_input(SystemPhysical at, PageSize size,
                                 const snp::RmpUpdate& value) const;
  snp::RmpResult rmpupdate_conflict(SystemPhysical at, PageSize size) const;
  // The page, or a page of the 2M page, is locked or in use.
  bool busy(SystemPhysical at, PageSize size) const;
  bool has_immutable_tail(SystemPhysical base) const;

  // Hardware sheet 5.1. hypervisor_owned: over the 2M region for a 2M mapping.
  bool hypervisor_owned(SystemPhysical at, PageSize mapping_size) const;
  // The checks of a private page up to Mutable; entry: the one that describes the page, unless the
  // answer is Rule::covered.
  Rule check_owner(const Asker& asker, SystemPhysical spa, GuestPhysical gpa,
                   snp::RmpEntry& entry) const;
  Rule check_private(const AccessRequest& request) const;
  // Where PVALIDATE or RMPADJUST asks for another size than RMP or nested page have; true: done.
  bool refuse_size(const GuestPage& page, PageSize size, const snp::RmpEntry& entry,
                   GuestRmpOutcome& outcome) const;

  // Stores a page, then tells log, history and observer.
  void change(SystemPhysical at, PageSize extent, const snp::RmpEntry& after,
              const RmpCause& cause);
  // A guest's change of the entry that describes the page.
  void change_effective(SystemPhysical at, const snp::RmpEntry& after, const RmpCause& cause);
  void report(SystemPhysical page, PageSize extent, const snp::RmpEntry& before, bool was_free,
              const RmpCause& cause);

  Dram& dram_;
  Observer* observer_;
  RmpTable table_;
  InUseMarks in_use_;
  RmpHistory history_;
  bool enabled_ = false;
  u64 generation_ = 0;
};

}  // namespace softsnp::memory

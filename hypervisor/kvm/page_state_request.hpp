// The page-state-change event as KVM works through it: runs of adjacent entries, each one exit to
// the VMM. Pure bookkeeping over a copy of the guest's list. GHCB sheet 3.5, 5.
#pragma once

#include <span>
#include <vector>

#include "arch/ghcb/page_state_change.hpp"

namespace softsnp::kvm {

// KVM_HC_MAP_GPA_RANGE: number and third argument (GHCB sheet 5).
inline constexpr u64 hypercall_map_gpa_range = 12;
inline constexpr u64 map_gpa_2m = 1, map_gpa_private = 1u << 4;

class PageStateRequest {
 public:
  PageStateRequest() = default;
  // capacity: entries that fit between SW_SCRATCH and the end of the buffer.
  PageStateRequest(ghcb::PageStateHeader header, std::vector<ghcb::PageStateEntry> entries,
                   usize capacity)
      : header_(header), entries_(std::move(entries)), capacity_(capacity) {}

  struct Step {
    enum class Kind : u8 { ask_vmm, finished };
    Kind kind = Kind::finished;
    u64 error = 0;  // finished: SW_EXITINFO2
    GuestPhysical first;
    u64 pages = 0;  // of 4 KiB
    ghcb::PageOperation operation{};
    PageSize size = PageSize::size_4k;
  };
  // The next run that someone must act on; entries with other operations are passed over.
  Step next();
  // The VMM did what next() asked for.
  void complete_run();

  // What the guest sees of the progress: the header's cur_entry, and entries [0, touched_end()).
  const ghcb::PageStateHeader& header() const { return header_; }
  const std::vector<ghcb::PageStateEntry>& entries() const { return entries_; }

 private:
  Step finished(u64 error) const;

  ghcb::PageStateHeader header_{};
  std::vector<ghcb::PageStateEntry> entries_;
  usize capacity_ = 0;
  usize run_first_ = 0;
  usize run_length_ = 0;
};

}  // namespace softsnp::kvm

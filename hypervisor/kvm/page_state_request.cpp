#include "hypervisor/kvm/page_state_request.hpp"

namespace softsnp::kvm {
using ghcb::PageOperation;
using ghcb::PageStateEntry;

PageStateRequest::Step PageStateRequest::finished(u64 error) const {
  Step step;
  step.error = error;
  return step;
}

PageStateRequest::Step PageStateRequest::next() {
  while (true) {
    if (header_.end_entry >= capacity_ || header_.end_entry >= entries_.size()) {
      return finished(ghcb::page_state_error::invalid_header);
    }
    // Entries that are complete already are passed over.
    for (; header_.cur_entry <= header_.end_entry; ++header_.cur_entry) {
      const PageStateEntry entry = entries_[header_.cur_entry];
      if (entry.cur_page() > entry.page_count() ||
          !is_aligned(entry.gpa().value(), bytes(entry.size()))) {
        return finished(ghcb::page_state_error::invalid_entry);
      }
      if (entry.cur_page() < entry.page_count()) {
        break;
      }
    }
    if (header_.cur_entry > header_.end_entry) {
      return finished(0);
    }
    const PageStateEntry first = entries_[header_.cur_entry];
    Step step;
    step.kind = Step::Kind::ask_vmm;
    step.first = first.gpa() + first.cur_page() * page_size;
    step.pages = first.page_count() - first.cur_page();
    step.operation = first.operation();
    step.size = first.size();
    run_first_ = header_.cur_entry;
    run_length_ = 1;
    for (usize i = run_first_ + 1; i <= header_.end_entry; ++i) {
      const PageStateEntry entry = entries_[i];
      if (entry.operation() != step.operation || entry.size() != step.size ||
          entry.cur_page() != 0 || entry.gpa() != step.first + step.pages * page_size) {
        break;
      }
      step.pages += entry.page_count();
      ++run_length_;
    }
    if (step.operation == PageOperation::make_private ||
        step.operation == PageOperation::make_shared) {
      return step;
    }
    complete_run();
  }
}

void PageStateRequest::complete_run() {
  for (usize i = run_first_; i < run_first_ + run_length_; ++i) {
    entries_[i].set_cur_page(entries_[i].page_count());
  }
  header_.cur_entry = static_cast<u16>(run_first_ + run_length_);
}

}  // namespace softsnp::kvm

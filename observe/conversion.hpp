// One change of guest pages between private and shared, as the machine saw it: what Linux calls
// set_memory_decrypted and set_memory_encrypted. Steps in the order in which they happened.
#pragma once

#include <string>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::observe {

enum class StepKind : u8 {
  tlb_flush,
  table_entry,  // C-bit of a guest page-table entry
  table_split,  // a large mapping of the guest's gave way to smaller ones
  pvalidate,
  vmgexit,       // a page-state change on its way to the hypervisor
  attribute,     // the VMM set the range's attribute (KVM_SET_MEMORY_ATTRIBUTES)
  rmp,           // an RMP entry changed
  nested_fault,  // the hypervisor answered a nested page fault
  resumed,       // the answer is in the guest's hands
};
const char* name(StepKind kind);

struct ConversionStep {
  u64 time = 0;  // virtual, of the first of its acts
  u64 rip = 0;
  StepKind kind = StepKind::tlb_flush;
  std::string detail;      // the same for all acts of the step
  u64 count = 1;           // acts in one step: neighbouring pages, done one after another
  u64 first = 0, end = 0;  // gPAs (gVAs for flushes) of its acts; both 0: none
};

struct Conversion {
  bool to_private = false;
  GuestPhysical first, end;
  std::vector<ConversionStep> steps;
  u64 ended = 0;  // virtual time of the last act

  u64 pages() const { return (end - first) / page_size; }
  u64 ticks() const { return steps.empty() ? 0 : ended - steps.front().time; }
};

// The same act on the next page, or on the same.
bool goes_on(const ConversionStep& last, const ConversionStep& step);
// Appended, or made part of the last step if it goes on with that.
void add_step(std::vector<ConversionStep>& steps, ConversionStep step);

}  // namespace softsnp::observe

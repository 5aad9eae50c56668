#include "observe/conversion.hpp"

#include <algorithm>

namespace softsnp::observe {

const char* name(StepKind kind) {
  switch (kind) {
    case StepKind::tlb_flush:
      return "TLB flush";
    case StepKind::table_entry:
    case StepKind::table_split:
      return "page table";
    case StepKind::pvalidate:
      return "PVALIDATE";
    case StepKind::vmgexit:
      return "VMGEXIT";
    case StepKind::attribute:
      return "VMM";
    case StepKind::rmp:
      return "RMP";
    case StepKind::nested_fault:
      return "nested fault";
    case StepKind::resumed:
      return "resumed";
  }
  return "?";
}

bool goes_on(const ConversionStep& last, const ConversionStep& step) {
  return last.kind == step.kind && last.detail == step.detail &&
         (step.first == last.end || step.end == last.first ||
          (step.first == last.first && step.end == last.end));
}

// A page is assigned, mapped, validated, then the next one: four acts that take turns.
void add_step(std::vector<ConversionStep>& steps, ConversionStep step) {
  const usize longest_turn = step.kind == StepKind::tlb_flush ? 1 : 6;
  for (usize back = 1; back <= std::min(steps.size(), longest_turn); ++back) {
    ConversionStep& before = steps[steps.size() - back];
    if (before.kind == StepKind::vmgexit) {
      break;
    }
    if (goes_on(before, step)) {
      before.count += step.count;
      before.first = std::min(before.first, step.first);
      before.end = std::max(before.end, step.end);
      return;
    }
  }
  steps.push_back(std::move(step));
}

}  // namespace softsnp::observe

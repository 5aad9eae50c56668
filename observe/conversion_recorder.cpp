#include "observe/conversion_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/snp/features.hpp"
#include "base/bits.hpp"
#include "machine/memory/rmp/describe.hpp"

namespace softsnp::observe {
namespace {

// Linux flushes at most 33 pages one by one before it flushes all (tlb_single_page_flush_ceiling).
constexpr usize longest_prelude = 16;
// A flush longer ago than that belongs to something else.
constexpr u64 prelude_ticks = 100'000;

const char* size_name(unsigned level) {
  return level == 0 ? "4K" : level == 1 ? "2M" : "1G";
}

}  // namespace

ConversionStep ConversionRecorder::step(StepKind kind, std::string detail, u64 first,
                                        u64 bytes) const {
  const Moment now = view_.moment();
  return {now.time, now.rip, kind, std::move(detail), 1, first, first + bytes};
}

void ConversionRecorder::add(Conversion& conversion, ConversionStep step) {
  conversion.ended = std::max(conversion.ended, step.time);
  add_step(conversion.steps, std::move(step));
}

Conversion* ConversionRecorder::open_one(bool to_private) {
  return is_open_ && conversions_.back().to_private == to_private ? &conversions_.back() : nullptr;
}

Conversion* ConversionRecorder::open_over(GuestPhysical at) {
  if (!is_open_) {
    return nullptr;
  }
  Conversion& last = conversions_.back();
  return at >= last.first && at < last.end ? &last : nullptr;
}

Conversion& ConversionRecorder::begin(bool to_private, GuestPhysical first, u64 bytes) {
  conversions_.push_back({to_private, first, first + bytes, {}, 0});
  is_open_ = true;
  unmapped_ = false;
  left_ = to_private ? bytes : 0;
  const u64 now = view_.moment().time;
  for (ConversionStep& before : prelude_) {
    if (now - before.time < prelude_ticks) {
      add(conversions_.back(), std::move(before));
    }
  }
  prelude_.clear();
  return conversions_.back();
}

void ConversionRecorder::extend(Conversion& conversion, GuestPhysical first, u64 bytes) {
  if (first < conversion.first || first + bytes > conversion.end) {
    left_ += conversion.to_private ? bytes : 0;
  }
  conversion.first = std::min(conversion.first, first);
  conversion.end = std::max(conversion.end, first + bytes);
}

void ConversionRecorder::tlb_flushed(cpu::TlbFlush kind, u64 linear, u64 rip) {
  ConversionStep flush =
      step(StepKind::tlb_flush, kind == cpu::TlbFlush::page         ? "one page (INVLPG)"
                                : kind == cpu::TlbFlush::non_global ? "all but global pages"
                                                                    : "all");
  flush.rip = rip;
  if (kind == cpu::TlbFlush::page) {
    flush.first = linear & ~page_offset_mask;
    flush.end = flush.first + page_size;
  }
  if (Conversion* shared = open_one(false); shared != nullptr && unmapped_) {
    add(*shared, std::move(flush));
    is_open_ = false;
    return;
  }
  if (!is_open_ && prelude_.empty() && !conversions_.empty() &&
      goes_on(conversions_.back().steps.back(), flush)) {
    add(conversions_.back(), std::move(flush));
    return;
  }
  if (prelude_.size() == longest_prelude) {
    prelude_.erase(prelude_.begin());
  }
  add_step(prelude_, std::move(flush));
}

void ConversionRecorder::rmp_instruction(const cpu::RmpInstructionEvent& e) {
  if (e.instruction != cpu::RmpInstruction::pvalidate) {
    return;
  }
  const bool validate = has_bit(e.operand, 0);
  const u64 bytes = softsnp::bytes(e.size);
  Conversion* conversion = open_one(validate);
  if (validate && (conversion == nullptr || open_over(e.gpa) == nullptr)) {
    return;  // memory that never was shared is accepted
  }
  // One call's pages lie side by side.
  const bool goes_on = conversion != nullptr && e.gpa >= conversion->first &&
                       e.gpa <= conversion->end && (validate || !unmapped_);
  if (!goes_on) {
    conversion = &begin(false, e.gpa, bytes);
  }
  extend(*conversion, e.gpa, bytes);
  const char* outcome = e.denied != memory::Rule::none ? memory::name(e.denied)
                        : e.carry                      ? "CF=1, nothing changed"
                                                       : memory::name(e.result);
  ConversionStep act = step(StepKind::pvalidate,
                            fmt::format("{} {}: {}", validate ? "validate" : "rescind",
                                        e.size == PageSize::size_2m ? "2M" : "4K", outcome),
                            e.gpa.value(), bytes);
  act.rip = e.rip;
  add(*conversion, std::move(act));
  watch(e.address, e.gpa);
  note_unseen_table_change(*conversion, e);
  const bool done = e.denied == memory::Rule::none && e.result == snp::RmpResult::success;
  if (validate && done) {
    left_ -= std::min(left_, bytes);
    is_open_ = left_ != 0;
  }
}

// Tables that nobody watched yet: the entry is as it must be, its store was not seen.
void ConversionRecorder::note_unseen_table_change(Conversion& conversion,
                                                  const cpu::RmpInstructionEvent& e) {
  const auto seen = [](const ConversionStep& s) { return s.kind == StepKind::table_entry; };
  const auto page = watched_.find(e.address.page().value());
  if (!conversion.to_private || page == watched_.end() ||
      std::any_of(conversion.steps.begin(), conversion.steps.end(), seen)) {
    return;
  }
  const bool encrypted = has_bit(page->second.value, snp::c_bit);
  ConversionStep act = conversion.steps.front();
  act.kind = StepKind::table_entry;
  act.detail = fmt::format("C-bit of the {} entry is {} (not seen when)",
                           size_name(page->second.level), encrypted ? "set" : "clear");
  act.first = act.end = 0;
  conversion.steps.insert(conversion.steps.begin(), std::move(act));
}

void ConversionRecorder::vmexit(svm::ExitCode code, u64, u64, u64 rip) {
  exit_.reset();
  if (code == svm::ExitCode::vmgexit) {
    exit_ = step(StepKind::vmgexit, "");
    exit_->rip = rip;
  }
}

void ConversionRecorder::page_state(const kvm::PageStateEvent& e) {
  Conversion* conversion = open_one(e.is_private);
  if (conversion == nullptr) {
    // Shared without a rescission before it, or private without the guest's asking: the launch, or
    // the VMM on its own.
    if (!e.is_private || !exit_) {
      return;
    }
    conversion = go_on_after(e.first);
    conversion = conversion != nullptr ? conversion : &begin(true, e.first, e.bytes);
  }
  extend(*conversion, e.first, e.bytes);
  note_exit(*conversion);
  // What follows from the attribute was told before it.
  std::vector<ConversionStep>& steps = conversion->steps;
  const auto exit = std::find_if(steps.rbegin(), steps.rend(), [](const ConversionStep& s) {
    return s.kind == StepKind::vmgexit;
  });
  std::vector<ConversionStep> consequences(exit.base(), steps.end());
  steps.erase(exit.base(), steps.end());
  add(*conversion,
      step(StepKind::attribute, fmt::format("attribute {}", e.is_private ? "private" : "shared"),
           e.first.value(), e.bytes));
  for (ConversionStep& consequence : consequences) {
    add(*conversion, std::move(consequence));
  }
}

// The next batch of one call, at most 64 entries each (GHCB sheet 6.1).
Conversion* ConversionRecorder::go_on_after(GuestPhysical first) {
  const bool does = !conversions_.empty() && conversions_.back().to_private &&
                    conversions_.back().end == first && prelude_.empty();
  is_open_ = is_open_ || does;
  return does ? &conversions_.back() : nullptr;
}

void ConversionRecorder::note_exit(Conversion& conversion) {
  if (exit_) {
    exit_->detail =
        fmt::format("page state change to {}", conversion.to_private ? "private" : "shared");
    add(conversion, *std::exchange(exit_, std::nullopt));
  }
}

void ConversionRecorder::rmp_changed(const memory::RmpChange& e) {
  const bool was_guests = e.before.asid() != Asid::host;
  const GuestPhysical at(was_guests ? e.before.gpa() : e.after.gpa());
  Conversion* conversion = open_over(at);
  if (conversion == nullptr || (!was_guests && e.after.asid() == Asid::host)) {
    return;
  }
  const auto state = [](const snp::RmpEntry& entry) {
    if (!entry.assigned()) {
      return std::string("hypervisor");
    }
    return fmt::format("guest-{} {}", entry.validated() ? "valid" : "invalid",
                       entry.size() == PageSize::size_2m ? "2M" : "4K");
  };
  if (e.cause.agent == memory::RmpAgent::rmpupdate) {
    note_exit(*conversion);
  }
  add(*conversion, step(StepKind::rmp,
                        fmt::format("{}: {} -> {}", memory::name(e.cause.agent), state(e.before),
                                    state(e.after)),
                        at.value(), softsnp::bytes(e.extent)));
}

void ConversionRecorder::npf(const kvm::NpfEvent& e) {
  if (Conversion* conversion = open_over(e.gpa)) {
    add(*conversion,
        step(StepKind::nested_fault, kvm::name(e.resolution), e.gpa.page().value(), page_size));
  }
}

void ConversionRecorder::vmgexit(const kvm::VmgexitEvent& e) {
  const bool page_state = e.msr_protocol
                              ? e.code == static_cast<u64>(ghcb::MsrCode::page_state_change)
                              : e.code == static_cast<u64>(ghcb::Event::page_state_change);
  if (is_open_ && page_state) {
    add(conversions_.back(),
        step(StepKind::resumed,
             e.msr_protocol
                 ? fmt::format("GHCB MSR {:#x}", e.answer)
                 : fmt::format("SW_EXITINFO1 {:#x}, SW_EXITINFO2 {:#x}", e.answer, e.answer2)));
  }
}

void ConversionRecorder::watch(GuestVirtual address, GuestPhysical gpa) {
  const auto leaf = window_.leaf ? window_.leaf(address) : std::nullopt;
  if (!leaf) {
    return;
  }
  const u64 page = address.page().value();
  watched_[page] = {gpa.page(), leaf->value, leaf->level};
  for (unsigned level = leaf->level; level < 3; ++level) {
    if (by_table_[{leaf->tables[level], level}].insert(page).second) {
      window_.watch_stores(leaf->tables[level]);
    }
  }
}

void ConversionRecorder::stored(const cpu::WatchedStore& store) {
  const u64 time = view_.moment().time + store.instructions;
  for (unsigned level = 0; level < 3; ++level) {
    const auto found = by_table_.find({store.at.page(), level});
    if (found == by_table_.end()) {
      continue;
    }
    const u64 index = store.at.page_offset() / 8;
    const std::set<u64> pages = found->second;
    for (const u64 page : pages) {
      if (((page >> (page_shift + 9 * level)) & 511) == index) {
        look_again(page, time, store.rip);
      }
    }
  }
}

void ConversionRecorder::look_again(u64 page, u64 time, u64 rip) {
  const auto leaf = window_.leaf(GuestVirtual(page));
  if (!leaf) {
    return;
  }
  const Watched before = watched_.at(page);
  watch(GuestVirtual(page), before.gpa);
  ConversionStep act{time, rip, StepKind::table_split, {}, 1, 0, 0};
  if (leaf->level < before.level) {
    act.detail = fmt::format("{} mapping split", size_name(before.level));
    note_table_change(before, act, true);
  }
  constexpr u64 encrypted = bit(snp::c_bit);
  if (((leaf->value ^ before.value) & encrypted) == 0) {
    return;
  }
  act.kind = StepKind::table_entry;
  act.detail = fmt::format("C-bit of the {} entry {}", size_name(leaf->level),
                           (leaf->value & encrypted) != 0 ? "set" : "cleared");
  const u64 bytes = page_size << (9 * leaf->level);
  act.first = align_down(before.gpa.value(), bytes);
  act.end = act.first + bytes;
  note_table_change(before, std::move(act), (leaf->value & encrypted) != 0);
}

// Before a conversion to private, in the midst of one to shared.
void ConversionRecorder::note_table_change(const Watched& page, ConversionStep act,
                                           bool encrypted) {
  Conversion* shared = open_over(page.gpa);
  if (shared != nullptr && !shared->to_private) {
    add(*shared, std::move(act));
    unmapped_ = unmapped_ || !encrypted;
    return;
  }
  add_step(prelude_, std::move(act));
}

}  // namespace softsnp::observe

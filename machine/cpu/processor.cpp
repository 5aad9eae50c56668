#include "machine/cpu/processor.hpp"

#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {

Processor::Processor(memory::Dram& dram, memory::Rmp& rmp, CodeStore& code, Platform& platform,
                     Clock& clock, Observer* observer)
    : clock_(clock),
      core_(std::make_unique<Core>()),
      mmu_(dram, rmp, code),
      system_(*core_, mmu_, platform, observer),
      svm_(system_),
      builder_(mmu_) {
  core_->memory = &mmu_;
  core_->number = static_cast<u16>(platform.core_id());
  mmu_.mode_changed(*core_);
}

void Processor::account(u64 instructions) {
  core_->retired_base += instructions;
  clock_.now += instructions;
}

// The block at state.rip, and the link that asked for it set to it.
Block* Processor::next_block() {
  Core& core = *core_;
  Link* link = core.stop_link;
  core.stop_link = nullptr;
  JumpEntry& entry = core.jumps[jump_index(core.state.rip)];
  if (entry.rip != core.state.rip || entry.context != core.context) {
    Block* block = builder_.block_at(core);
    if (block == nullptr) {
      return nullptr;
    }
    if ((core.context & code_mode::global_code) != 0 && !mmu_.fetched_global()) {
      return block;  // its context would outlive its translation: never remembered
    }
    entry.rip = core.state.rip;
    entry.context = core.context;
    entry.block = block;
  }
  if (link != nullptr) {
    *link = {core.context, entry.block};
  }
  return entry.block;
}

void Processor::advance(u64 limit, bool single) {
  Core& core = *core_;
  fetch_failed_ = false;
  core.budget = core.budget_start = static_cast<i64>(limit);
  core.stop = Stop::none;
  core.stop_link = nullptr;
  if (mmu_.blocks().full()) {
    mmu_.blocks().clear(core);
  }
  for (;;) {
    // Exact stops: what is left of the limit is less than the next block.
    const bool step = single || core.stop == Stop::budget;
    Block* block = step ? builder_.step_at(core, static_cast<u32>(core.budget)) : next_block();
    if (block == nullptr) {
      fetch_failed_ = true;
      return;
    }
    run(core, block);
    mmu_.settle();
    if (step) {
      core.stop_link = nullptr;  // it may point into the step block
    }
    const bool more = core.stop == Stop::need_block || core.stop == Stop::budget;
    if (!more || core.budget == 0 || single) {
      return;
    }
    mmu_.catch_up(core);
  }
}

void Processor::dispatch(u64 ran, bool single, u64& left) {
  Core& core = *core_;
  const auto spend = [&] {
    account(1);
    left -= left == 0 ? 0 : 1;
  };
  if (fetch_failed_) {
    spend();
    svm_.on_fetch_fault();
    return;
  }
  switch (core.stop) {
    case Stop::system:
      spend();
      svm_.on_system();
      return;
    case Stop::fault:
      spend();
      svm_.on_fault();
      return;
    case Stop::none:
    case Stop::need_block:
    case Stop::budget:
    case Stop::event:
      if (single && ran != 0) {
        svm_.single_stepped();
      }
      return;
  }
}

Result<void, x86::Vector> Processor::vmrun(SystemPhysical vmcb, u64 max_instructions) {
  if (auto entered = svm_.vmrun(vmcb); !entered) {
    return entered;
  }
  Core& core = *core_;
  u64 left = max_instructions;
  while (svm_.in_guest()) {
    mmu_.catch_up(core);
    if (svm_.before_block() == Run::exited) {
      break;
    }
    if (left == 0) {
      if (svm_.on_budget() == Run::exited) {
        break;
      }
      left = max_instructions;
    }
    const bool single = svm_.must_single_step();
    const bool shadow = core.state.interrupt_shadow;
    core.state.interrupt_shadow = false;
    advance(single ? 1 : left, single);
    const u64 ran = static_cast<u64>(core.budget_start - core.budget);
    account(ran);
    left -= ran < left ? ran : left;
    if (ran == 0) {
      // Nothing completed in the executor: the shadow still covers what comes now.
      core.state.interrupt_shadow = shadow;
    }
    dispatch(ran, single, left);
  }
  return {};
}

}  // namespace softsnp::cpu

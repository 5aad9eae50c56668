#include "machine/cpu/block_builder.hpp"

#include <algorithm>
#include <cstring>

#include "machine/cpu/exec/branch.hpp"
#include "machine/cpu/exec/engine.hpp"

namespace softsnp::cpu {
namespace {

constexpr u32 max_instruction_bytes = 15;

bool code64(const Core& core) {
  return (core.context & code_mode::size_mask) == code_mode::size64;
}

u64 linear_of(const Core& core, u64 rip) {
  const u64 linear = rip + core.seg_base[static_cast<unsigned>(x86::Segment::cs)];
  return code64(core) ? linear : static_cast<u32>(linear);
}

}  // namespace

// CS limit in legacy and compatibility modes (APM2 4.8.1).
bool BlockBuilder::within_limit(Core& core, u64 rip, u32 length) const {
  if (code64(core)) {
    return true;
  }
  return rip + length - 1 <= core.state.seg[static_cast<unsigned>(x86::Segment::cs)].limit;
}

void BlockBuilder::add(Draft& draft, const Op& op, const OpInfo& info, bool may_fuse) {
  const u64 end_rip = draft.first_rip + draft.bytes + info.length;
  if (may_fuse && draft.count != 0 && Decoder::fuse(draft.ops[draft.count - 1], op, end_rip)) {
    ++draft.instructions;
    draft.bytes += info.length;
    return;
  }
  if (count_memory_operands_) {
    draft.ops[0].imm += info.memory_operands;
  }
  OpInfo& slot = draft.info[draft.count];
  draft.ops[draft.count] = op;
  slot = info;
  slot.rip_offset = static_cast<u16>(draft.bytes);
  slot.retired_before = static_cast<u16>(draft.instructions);
  ++draft.count;
  ++draft.instructions;
  draft.bytes += info.length;
}

void BlockBuilder::open(Draft& draft) const {
  draft.count = draft.instructions = draft.bytes = 0;
  draft.closed = draft.crosses = false;
  if (count_memory_operands_) {
    draft.ops[0] = {};
    draft.ops[0].fn = &op_count_memory_operands;
    draft.info[0] = {};
    draft.count = 1;
  }
}

// The first instruction reaches into the next page: a block of its own.
bool BlockBuilder::draft_crossing(Core& core, const u8* bytes, u32 size, Draft& out) {
  u8 buffer[max_instruction_bytes] = {};
  std::memcpy(buffer, bytes, size);
  const u64 rip = core.state.rip;
  SystemPhysical second;
  const u8* more = mmu_.fetch(core, linear_of(core, rip + size), second);
  if (more == nullptr) {
    return false;
  }
  std::memcpy(buffer + size, more, max_instruction_bytes - size);
  Op op{};
  OpInfo info{};
  const u32 mode = static_cast<u32>(core.context & 0xFF);
  const DecodeStatus status = decoder_.decode(buffer, max_instruction_bytes, rip, mode, op, info);
  out.crosses = true;
  out.second_page = second.page();
  out.closed = status != DecodeStatus::ok;
  add(out, op, info, false);
  return true;
}

bool BlockBuilder::draft(Core& core, u32 limit, Draft& out) {
  open(out);
  const u64 first_rip = out.first_rip = core.state.rip;
  const u8* bytes = mmu_.fetch(core, linear_of(core, first_rip), out.start);
  if (bytes == nullptr) {
    return false;
  }
  const u32 room = static_cast<u32>(page_size - out.start.page_offset());
  const u32 mode = static_cast<u32>(core.context & 0xFF);
  while (out.instructions < limit && out.bytes < room && !out.closed) {
    Op op{};
    OpInfo info{};
    const u64 rip = first_rip + out.bytes;
    const u32 left = std::min(room - out.bytes, max_instruction_bytes);
    const DecodeStatus status = decoder_.decode(bytes + out.bytes, left, rip, mode, op, info);
    if (status == DecodeStatus::truncated) {
      if (out.instructions != 0) {
        break;
      }
      return draft_crossing(core, bytes, left, out);
    }
    if (!within_limit(core, rip, info.length)) {
      if (out.instructions != 0) {
        break;
      }
      core.fault = {FaultKind::exception, static_cast<u8>(x86::Vector::gp), true, 0, 0, 0};
      return false;
    }
    out.closed = status == DecodeStatus::ends_block;
    add(out, op, info, true);
  }
  return true;
}

void BlockBuilder::close(Core& core, Draft& draft) {
  (void)core;
  if (draft.closed) {
    return;
  }
  Op op{};
  op.fn = &op_fall_through;
  OpInfo info{};
  info.rip_offset = static_cast<u16>(draft.bytes);
  info.retired_before = static_cast<u16>(draft.instructions);
  draft.ops[draft.count] = op;
  draft.info[draft.count] = info;
  ++draft.count;
}

void BlockBuilder::copy(const Core& core, const Draft& from, Block& to) {
  std::copy_n(from.ops, from.count, to.ops);
  std::copy_n(from.info, from.count, to.info);
  to.rip = core.state.rip;
  to.end_rip = core.state.rip + from.bytes;
  if (!code64(core)) {
    to.end_rip = (core.context & code_mode::size_mask) == code_mode::size16
                     ? static_cast<u16>(to.end_rip)
                     : static_cast<u32>(to.end_rip);
  }
  to.mode = static_cast<u32>(core.context & 0xFF);
  to.instruction_count = from.instructions;
  to.op_count = from.count;
  to.byte_count = from.bytes;
  to.start = from.start;
  to.second_page = from.crosses ? from.second_page : from.start.page();
}

Block* BlockBuilder::block_at(Core& core) {
  ++core.counters.lookups;
  SystemPhysical start;
  if (mmu_.fetch(core, linear_of(core, core.state.rip), start) == nullptr) {
    return nullptr;
  }
  BlockCache& cache = mmu_.blocks();
  const u32 mode = static_cast<u32>(core.context & 0xFF);
  if (Block* known = cache.find(core.state.rip, mode, start)) {
    if (known->second_page == known->start.page()) {
      return known;
    }
    SystemPhysical second;
    const u64 next_page = align_up(linear_of(core, core.state.rip) + 1, page_size);
    if (mmu_.fetch(core, next_page, second) == nullptr) {
      return nullptr;
    }
    if (second.page() == known->second_page) {
      return known;
    }
  }
  if (!draft(core, max_instructions, draft_)) {
    return nullptr;
  }
  close(core, draft_);
  Block* block = cache.allocate(draft_.count);
  copy(core, draft_, *block);
  cache.insert(block);
  mmu_.catch_up(core);  // direct writes to this frame end before the block runs
  ++core.counters.blocks_built;
  return block;
}

Block* BlockBuilder::step_at(Core& core, u32 limit) {
  if (!draft(core, std::min(limit, max_instructions), draft_)) {
    return nullptr;
  }
  close(core, draft_);
  step_ = Block();
  step_.ops = step_ops_;
  step_.info = step_info_;
  copy(core, draft_, step_);
  return &step_;
}

}  // namespace softsnp::cpu

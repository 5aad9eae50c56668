#include "tests/machine/cpu/exec/exec_runner.hpp"

#include <cstring>

namespace softsnp::cpu::test {

u8* FlatMemory::translate(Core& core, u64 linear, u32 size, Access access) {
  ++calls_;
  if (static_cast<u64>(static_cast<i64>(linear << 16) >> 16) != linear) {
    core.fault = {FaultKind::exception, static_cast<u8>(x86::Vector::gp), true, 0, 0};
    return nullptr;
  }
  const bool inside =
      linear >= start_ && linear - start_ < size_ && size <= size_ - (linear - start_);
  const bool write = access == Access::write;
  if (!inside || (write && !writable_)) {
    const u64 error = x86::pf_error::user | (write ? x86::pf_error::write : 0) |
                      (inside ? x86::pf_error::present : 0);
    core.fault = {FaultKind::exception, static_cast<u8>(x86::Vector::pf), true, error, linear};
    return nullptr;
  }
  u8* pointer = host_ + (linear - start_);
  if (use_tlb_) {
    TlbEntry& entry = core.tlb[tlb_index(linear)];
    entry.read_tag = linear & ~page_offset_mask;
    entry.write_tag = writable_ ? entry.read_tag : ~u64{0};
    entry.addend = reinterpret_cast<u64>(pointer) - linear;
  }
  return pointer;
}

void FlatMemory::use_tlb(Core& core, bool on) {
  use_tlb_ = on;
  for (unsigned i = 0; i < tlb_entries; ++i) {
    core.tlb[i] = TlbEntry();
  }
}

Exec::Exec(u32 mode)
    : core_(std::make_unique<Core>()),
      memory_(place::data, place::data_size, reinterpret_cast<u8*>(place::data)) {
  Core& core = *core_;
  core.tlb = core.tlbs[0];
  core.memory = &memory_;
  core.set_code_mode(mode);
  core.state.cpl = (mode & code_mode::user) != 0 ? 3 : 0;
  // As an operating system sets x87 and SSE up.
  core.state.cr0 = x86::cr0::pe | x86::cr0::pg | x86::cr0::et | x86::cr0::mp | x86::cr0::ne;
  core.state.cr4 = x86::cr4::pae | x86::cr4::osfxsr | x86::cr4::osxmmexcpt | x86::cr4::fsgsbase;
  if ((mode & code_mode::size_mask) == code_mode::size64) {
    core.state.efer = x86::efer::lma | x86::efer::lme;
    core.state.seg[static_cast<u8>(x86::Segment::gs)].base = place::gs_base;
    core.seg_base[static_cast<u8>(x86::Segment::gs)] = place::gs_base;
  }
}

DecodeStatus Exec::load(std::span<const u8> instruction, u64 rip) {
  const u32 mode = static_cast<u32>(core_->context & 0xFF);
  const DecodeStatus status = decoder_.decode(
      instruction.data(), static_cast<u32>(instruction.size()), rip, mode, ops_[0], info_[0]);
  block_ = Block();
  block_.rip = rip;
  block_.mode = mode;
  block_.end_rip = rip + info_[0].length;
  block_.instruction_count = 1;
  block_.op_count = 2;
  block_.byte_count = info_[0].length;
  block_.ops = ops_;
  block_.info = info_;
  ops_[1].fn = &op_fall_through;
  info_[1] = OpInfo();
  info_[1].rip_offset = info_[0].length;
  info_[1].retired_before = 1;
  return status;
}

void Exec::run(MachineState& state) {
  Core& core = *core_;
  std::memcpy(core.state.gpr, state.gpr, sizeof state.gpr);
  core.state.set_rflags(state.rflags);
  core.state.fx = state.fx;
  core.state.rip = block_.rip;
  core.budget = core.budget_start = 1 << 20;
  core.fault = Fault();
  softsnp::cpu::run(core, &block_);
  std::memcpy(state.gpr, core.state.gpr, sizeof state.gpr);
  state.rflags = core.state.rflags();
  state.fx = core.state.fx;
  state.rip = core.state.rip;
  state.vector = core.stop == Stop::fault ? core.fault.vector : -1;
}

}  // namespace softsnp::cpu::test

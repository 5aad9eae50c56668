// The executor on the same terms as native.hpp: one instruction from a given state, memory at the
// host's addresses.
#pragma once

#include <memory>
#include <span>

#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "tests/machine/cpu/exec/native.hpp"

namespace softsnp::cpu::test {

// Linear addresses are host addresses (plus offset); [start, start + size) may be accessed.
class FlatMemory final : public MemoryPort {
 public:
  FlatMemory(u64 start, u64 size, u8* host) : start_(start), size_(size), host_(host) {}
  u8* translate(Core& core, u64 linear, u32 size, Access access) override;
  // Whether translations may go to the TLB (fast paths) or not (slow paths).
  void use_tlb(Core& core, bool on);
  void set_writable(bool on) { writable_ = on; }
  u64 calls() const { return calls_; }

 private:
  u64 start_, size_;
  u8* host_;
  bool use_tlb_ = false;
  bool writable_ = true;
  u64 calls_ = 0;
};

class Exec {
 public:
  explicit Exec(u32 mode = code_mode::size64 | code_mode::user);

  // Decodes the instruction at place::instruction (or rip).
  DecodeStatus load(std::span<const u8> instruction, u64 rip = place::instruction);
  // Runs it to whatever ends it: state.rip is where execution would go on, state.vector the
  // exception raised. Core::stop tells more.
  void run(MachineState& state);

  Core& core() { return *core_; }
  FlatMemory& memory() { return memory_; }
  const Op& op() const { return ops_[0]; }
  const OpInfo& info() const { return info_[0]; }

 private:
  Decoder decoder_;
  std::unique_ptr<Core> core_;
  FlatMemory memory_;
  Block block_;
  Op ops_[2] = {};
  OpInfo info_[2] = {};
};

}  // namespace softsnp::cpu::test

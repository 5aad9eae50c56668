// The conformance cases' stage in the machine.
#pragma once

#include "guest/runtime/small_guest.hpp"
#include "guest/svsm_conformance/stage.hpp"

namespace softsnp::guest {

class MachineStage final : public conformance::Stage {
 public:
  explicit MachineStage(SmallGuest& guest);

  const conformance::Facts& facts() const override { return facts_; }
  GuestPhysical at(conformance::Place place) const override;
  void write(GuestPhysical to, const void* from, usize bytes) override;
  void read(GuestPhysical from, void* to, usize bytes) override;
  bool is_validated(GuestPhysical page) override;
  svsm::Registers call(const svsm::Registers& in, u8 pending) override;
  u8 pending() const override { return answered_pending_; }
  void judge(const char* name, bool good, u64 got, u64 expected) override;

  u64 judged() const { return judged_; }
  u64 failed() const { return failed_; }

 private:
  void split_small_block();
  bool finds_second_vcpu();

  SmallGuest& guest_;
  conformance::Facts facts_;
  svsm::CallingArea* area_;  // this vCPU's, wherever REMAP_CA has put it
  u8 answered_pending_ = 0;
  u64 judged_ = 0, failed_ = 0;
};

}  // namespace softsnp::guest

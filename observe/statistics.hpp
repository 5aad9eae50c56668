// --stats: counters of the run as one JSON object.
#pragma once

#include <array>
#include <map>
#include <string>

#include "hypervisor/kvm/kvm.hpp"
#include "observe/listener.hpp"
#include "observe/validation.hpp"

namespace softsnp::observe {

// What the composition root reads from the machine at the end.
struct Totals {
  u64 virtual_time = 0;
  u64 instructions = 0;
  std::vector<u64> vcpu_instructions;
  u64 blocks_built = 0;
  u64 block_lookups = 0;    // jump-cache and link misses; all but blocks_built hit the block cache
  u64 memory_operands = 0;  // each asks the TLB once; all but tlb_fills hit it
  u64 tlb_fills = 0;
  u64 tlb_flushes = 0;
  u64 code_invalidations = 0;
  u64 form_conversions = 0;
  // Host time. The run loop (guest) contains what the processor takes; launch and run loop contain
  // what the firmware takes.
  double seconds_total = 0, seconds_launch = 0, seconds_guest = 0;
  double seconds_processor = 0, seconds_firmware = 0;
  u64 resident_bytes = 0;
  u64 guest_pages = 0;  // of RAM, 4 KiB each
  kvm::DirectMapReport direct_map;
};

class Statistics final : public Listener {
 public:
  void rmp_changed(const memory::RmpChange& e) override;
  void command_done(const psp::CommandEvent& e) override { ++psp_commands_[e.name]; }
  void delivered(const cpu::Delivery& e) override { ++delivered_[e.vector]; }
  void vc_raised(u64 code, u64) override { ++vc_[code]; }
  void npf(u64, GuestPhysical, u64) override { ++nested_faults_; }
  void rmp_instruction(const cpu::RmpInstructionEvent& e) override;
  void vmrun(SystemPhysical) override { ++vmruns_; }
  void vmexit(svm::ExitCode code, u64, u64, u64) override { ++vmexits_[svm::number(code)]; }
  void vmgexit(const kvm::VmgexitEvent& e) override { ++vmgexits_[e.name]; }
  void page_state(const kvm::PageStateEvent& e) override;
  void npf(const kvm::NpfEvent& e) override { ++resolutions_[name(e.resolution)]; }
  void host_rmp_fault(const kvm::HostRmpFaultEvent&) override { ++host_rmp_faults_; }
  const Validation& validation() const { return validation_; }

  std::string json(const Totals& totals) const;

 private:
  std::map<std::string, u64> rmp_changes_, psp_commands_, rmp_instructions_, vmgexits_,
      resolutions_;
  std::array<u64, 256> delivered_{};
  std::map<u64, u64> vc_, vmexits_;
  Validation validation_;
  u64 nested_faults_ = 0, vmruns_ = 0, host_rmp_faults_ = 0;
  u64 bytes_made_private_ = 0, bytes_made_shared_ = 0;
};

}  // namespace softsnp::observe

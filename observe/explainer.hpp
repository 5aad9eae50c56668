// Faults explain themselves: one paragraph each for what a real host never shows: who accessed
// what, which rule said no, the RMP entry before and now, who last changed it, where in the guest.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "machine/cpu/mmu/denial.hpp"
#include "machine/memory/rmp/rmp.hpp"
#include "observe/listener.hpp"
#include "observe/moment.hpp"
#include "observe/symbols.hpp"

namespace softsnp::observe {

// What the explainer may look at; the composition root fills it once the machine exists.
struct Evidence {
  const Viewpoint* view = nullptr;
  const memory::Rmp* rmp = nullptr;
  std::function<const cpu::Denial&()> last_denial;
};

class Explainer final : public Listener {
 public:
  static constexpr usize kept = 8;

  explicit Explainer(const Symbols& symbols) : symbols_(symbols) {}
  void set_evidence(Evidence evidence) { evidence_ = std::move(evidence); }

  void vc_raised(u64 code, u64 rip) override;
  void npf(u64 info1, GuestPhysical gpa, u64 rip) override;
  void npf(const kvm::NpfEvent& e) override;
  void vmrun_refused(const cpu::LastRefusal& e) override;
  void triple_fault(const cpu::FaultChain& e) override;
  void command_done(const psp::CommandEvent& e) override;
  void host_rmp_fault(const kvm::HostRmpFaultEvent& e) override;
  void rmp_instruction(const cpu::RmpInstructionEvent& e) override;

  // The newest paragraphs, oldest first; for the end of a run that went wrong.
  const std::deque<std::string>& paragraphs() const { return paragraphs_; }

 private:
  void keep(std::string paragraph);
  std::string place(u64 rip) const;
  // "The RMP entry is ...; it was ... at the access; last changed by ..."
  std::string entry_story(SystemPhysical page, const snp::RmpEntry* before) const;
  std::string access_story() const;

  const Symbols& symbols_;
  Evidence evidence_;
  std::deque<std::string> paragraphs_;
  std::string newest_;  // as it was said first
  u64 times_ = 0;
  std::optional<std::string> pending_nested_;  // until the hypervisor has tried
};

}  // namespace softsnp::observe

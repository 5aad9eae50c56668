// --trace: one JSON object a line for each event.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "observe/listener.hpp"
#include "observe/moment.hpp"
#include "observe/symbols.hpp"

namespace softsnp::observe {

class Tracer final : public Listener {
 public:
  // All outlive the tracer. The stream is written, never closed.
  Tracer(std::FILE* to, const Viewpoint& view, const Symbols& symbols)
      : to_(to), view_(view), symbols_(symbols) {}

  void rmp_changed(const memory::RmpChange& e) override;
  void command_done(const psp::CommandEvent& e) override;
  void launch_finished(const psp::LaunchFinished& e) override;
  void vc_raised(u64 code, u64 rip) override;
  void npf(u64 info1, GuestPhysical gpa, u64 rip) override;
  void rmp_instruction(const cpu::RmpInstructionEvent& e) override;
  void vmrun_refused(const cpu::LastRefusal& e) override;
  void triple_fault(const cpu::FaultChain& e) override;
  void vmgexit(const kvm::VmgexitEvent& e) override;
  void page_state(const kvm::PageStateEvent& e) override;
  void npf(const kvm::NpfEvent& e) override;
  void host_rmp_fault(const kvm::HostRmpFaultEvent& e) override;

 private:
  class Line;
  std::FILE* to_;
  const Viewpoint& view_;
  const Symbols& symbols_;
};

}  // namespace softsnp::observe

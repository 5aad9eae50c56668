// One who listens to every part, and the one who passes events on to several. Observers look,
// never steer; with nobody listening an event costs a call of an empty function.
#pragma once

#include <vector>

#include "hypervisor/kvm/events.hpp"
#include "machine/cpu/system/events.hpp"
#include "machine/memory/events.hpp"
#include "machine/psp/events.hpp"

namespace softsnp::observe {

class Listener : public memory::Observer,
                 public psp::Observer,
                 public cpu::Observer,
                 public kvm::Observer {};

class FanOut final : public Listener {
 public:
  // Listeners outlive the fan-out and hear in the order of addition.
  void add(Listener& listener) { listeners_.push_back(&listener); }

  void rmp_changed(const memory::RmpChange& e) override {
    each([&](Listener& l) { l.rmp_changed(e); });
  }
  void form_converted(SystemPhysical page) override {
    each([&](Listener& l) { l.form_converted(page); });
  }
  void command_done(const psp::CommandEvent& e) override {
    each([&](Listener& l) { l.command_done(e); });
  }
  void launch_finished(const psp::LaunchFinished& e) override {
    each([&](Listener& l) { l.launch_finished(e); });
  }
  void tlb_flushed(cpu::TlbFlush kind, u64 linear, u64 rip) override {
    each([&](Listener& l) { l.tlb_flushed(kind, linear, rip); });
  }
  void delivered(const cpu::Delivery& e) override {
    each([&](Listener& l) { l.delivered(e); });
  }
  void vc_raised(u64 code, u64 rip) override {
    each([&](Listener& l) { l.vc_raised(code, rip); });
  }
  void npf(u64 info1, GuestPhysical gpa, u64 rip) override {
    each([&](Listener& l) { static_cast<cpu::Observer&>(l).npf(info1, gpa, rip); });
  }
  void rmp_instruction(const cpu::RmpInstructionEvent& e) override {
    each([&](Listener& l) { l.rmp_instruction(e); });
  }
  void vmrun_refused(const cpu::LastRefusal& e) override {
    each([&](Listener& l) { l.vmrun_refused(e); });
  }
  void vmrun(SystemPhysical vmcb) override {
    each([&](Listener& l) { l.vmrun(vmcb); });
  }
  void vmexit(svm::ExitCode code, u64 info1, u64 info2, u64 rip) override {
    each([&](Listener& l) { l.vmexit(code, info1, info2, rip); });
  }
  void triple_fault(const cpu::FaultChain& e) override {
    each([&](Listener& l) { l.triple_fault(e); });
  }
  void vmgexit(const kvm::VmgexitEvent& e) override {
    each([&](Listener& l) { l.vmgexit(e); });
  }
  void page_state(const kvm::PageStateEvent& e) override {
    each([&](Listener& l) { l.page_state(e); });
  }
  void npf(const kvm::NpfEvent& e) override {
    each([&](Listener& l) { static_cast<kvm::Observer&>(l).npf(e); });
  }
  void host_rmp_fault(const kvm::HostRmpFaultEvent& e) override {
    each([&](Listener& l) { l.host_rmp_fault(e); });
  }
  void injection(const kvm::InjectionEvent& e) override {
    each([&](Listener& l) { l.injection(e); });
  }

 private:
  template <class Call>
  void each(Call call) {
    for (Listener* listener : listeners_) {
      call(*listener);
    }
  }
  std::vector<Listener*> listeners_;
};

}  // namespace softsnp::observe

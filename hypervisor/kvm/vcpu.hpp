// One vCPU: its VMCB, its local APIC, and the loop around VMRUN. Members are grouped by the file
// that defines them. hardware sheet 7-9; GHCB sheet; Linux arch/x86/kvm/svm.
#pragma once

#include <bitset>
#include <optional>
#include <utility>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/svm/exit_code.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/apic_message.hpp"
#include "hypervisor/kvm/completion.hpp"
#include "hypervisor/kvm/cpuid.hpp"
#include "hypervisor/kvm/ghcb_session.hpp"
#include "hypervisor/kvm/lapic.hpp"
#include "hypervisor/kvm/mmio_emulator.hpp"
#include "hypervisor/kvm/msr_store.hpp"
#include "hypervisor/kvm/vm_context.hpp"
#include "hypervisor/kvm/vmpl_state.hpp"

namespace softsnp::kvm {

// KVM's defaults: KVM_DEFAULT_PLE_GAP and the maximum. The count, a module parameter of kvm_amd, is
// not its 3000: all vCPUs share one host thread, so the one that is waited for does not run.
inline constexpr u16 pause_filter_count = 32, pause_filter_count_max = 0xFFFF,
                     pause_filter_threshold = 128;

// Why a vCPU gave its core back without an exit to the VMM.
enum class TurnEnd : u8 { time_over, waits, spins, sent_ipi };

class VcpuImpl final : public Vcpu, private MmioDevice {
 public:
  VcpuImpl(VmContext& vm, u32 index, u32 apic_id, SystemPhysical vmcb_page);
  ~VcpuImpl() override;

  u32 index() const override { return index_; }
  u32 apic_id() const override { return apic_id_; }
  MpState mp_state() const override { return mp_state_; }
  Vmpl vmpl() const override { return vmpl_; }

  // vcpu_setup.cpp
  Result<void, Error> set_state(const svm::Vmsa& state) override;
  svm::Vmsa state() const override;
  void set_cpuid(std::span<const CpuidEntry> entries) override { cpuid_.set(entries); }
  const svm::Vmsa& initial_state() const { return initial_state_; }
  void set_launched(SystemPhysical vmsa, Asid asid);
  void set_encrypted(Asid asid);
  // KVM's defaults. A VM with one vCPU has nobody to give its turn to: PAUSE is not intercepted
  // (KVM_X86_DISABLE_EXITS_PAUSE).
  void enable_pause_filter();

  // vcpu_run.cpp
  KvmExit run(u64 deadline_tsc) override;
  void complete_io(std::span<const u8> bytes) override;
  void complete_mmio(std::span<const u8> bytes) override;
  void complete_hypercall(u64 ret) override { answer_.ret = ret; }
  void complete_certificates(u64 ret, u64 npages) override { answer_.certificates = {ret, npages}; }

  // vcpu_wait.cpp
  bool halted() const override;
  // Has something to do now; timers that are due have fired.
  bool poll();
  // When a timer of its own wakes it; 0 = none does.
  u64 next_wake() const;
  // Something from outside can wake it: a device's interrupt.
  bool can_be_interrupted() const;
  std::string describe_wait() const;

  // vcpu_run.cpp. Until end_tsc, or the VMM is needed, or it waits, or gives its turn away.
  struct TurnResult {
    std::optional<KvmExit> exit;
    TurnEnd end = TurnEnd::time_over;
  };
  TurnResult take_turn(u64 end_tsc, u64 deadline_tsc);
  // It comes from waiting for its turn (KVM: sched_in shrinks the PAUSE window).
  void scheduled_in();

  // vcpu_inject.cpp
  bool ready_for_extint() const override;
  void queue_extint(u8 vector) override { extint_ = vector; }
  void request_extint_window(bool wanted) override { extint_window_wanted_ = wanted; }
  void inject_nmi() override;

  // ghcb_ap_creation.cpp. A VMSA for that VMPL, or none any more. Another vCPU says so.
  enum class When : u8 { now, on_init };
  void request_vmsa(Vmpl vmpl, const PendingVmsa& pending, std::optional<u64> features, When when);

  // vcpu_apic.cpp. Where a message of from (null: a device) arrives; and that it does.
  const Lapic& apic_for(const VcpuImpl* from) const {
    return is_for_vmpl0(from) ? vmpl0_apic_ : lapic_;
  }
  bool accept(const ApicMessage& message, const VcpuImpl* from);

 private:
  using Exit = std::optional<KvmExit>;

  // vcpu_setup.cpp
  void set_common_controls();
  void set_protected_controls();
  u64 sev_information() const;
  void set_plain_controls();

  // vcpu_run.cpp
  ApicTime time() const;
  u64 guest_tsc() const { return vm_.port().tsc() + vm_.tsc_offset; }
  Exit before_entry(u64 deadline_tsc);
  u64 quantum(u64 until_tsc) const;
  Exit enter(u64 max_instructions);
  void prepare_tlb();
  std::vector<u8> take_answer(usize length);

  // vcpu_resume.cpp
  Exit resume();

  // vcpu_wait.cpp
  bool has_wake_event();
  bool has_request() const;
  bool stop_waiting();
  Exit idle(u64 deadline_tsc);

  // vcpu_reset.cpp
  void accept_init_and_startup();
  void reset();
  void start(u8 vector);

  // vcpu_vmpl.cpp
  VmplState& current() { return states_[number(vmpl_)]; }
  const VmplState& current() const { return states_[number(vmpl_)]; }
  void install_vmsa(VmplState& state);
  Exit find_vmsa();
  bool adopt_pending(VmplState& state);
  void adopt_requested_vmsa();
  void switch_to(Vmpl vmpl);

  // vcpu_apic.cpp
  bool has_lower_vmpl() const;
  bool uses_own_apic() const { return vmpl_ == Vmpl::vmpl0 && is_restricted(); }
  bool is_for_vmpl0(const VcpuImpl* from) const;
  Lapic& apic() { return uses_own_apic() ? vmpl0_apic_ : lapic_; }
  const Lapic& apic() const { return uses_own_apic() ? vmpl0_apic_ : lapic_; }
  void advance_timers();
  u64 next_timer(bool that_interrupts) const;

  // vcpu_doorbell.cpp: restricted injection
  bool is_restricted() const { return is_restricted(vmpl_); }
  bool is_restricted(Vmpl vmpl) const;
  Doorbell doorbell(Vmpl vmpl);
  bool has_doorbell(Vmpl vmpl) const;
  bool can_ring(Vmpl vmpl);
  bool ring_doorbell();
  void note_quiet_eoi();
  void preempt_for_vmpl0();
  void raise_in_guest(x86::Vector vector);
  Exit event_of_injection();
  Exit event_doorbell_page();
  Exit event_hv_ipi();
  Exit event_hv_timer();

  // vcpu_alternate.cpp: alternate injection
  bool is_alternate(Vmpl vmpl) const;
  std::optional<Vmpl> alternate_vmpl() const;
  bool withhold(const ApicMessage& message);
  void present_withheld();
  void set_halt_intercept();
  Exit handle_busy();
  std::optional<Vmpl> asked_vmpl() const;
  Exit event_configure_injection();
  Exit event_disable_alternate_injection();
  Exit event_specific_eoi();

  // vcpu_inject.cpp
  bool interrupt_flag() const;
  bool in_shadow() const;
  bool injection_allowed() const;
  bool nmi_allowed() const { return nmi_pending_ && !current().events.nmi_masked; }
  void prepare_injection();
  bool inject_event();
  void request_interrupt_window(bool wanted);
  void queue_exception(x86::Vector vector, std::optional<u32> error_code = std::nullopt);
  void take_interrupted_event();
  void note_iret_progress();
  void sync_tpr_to_vmcb();
  void sync_tpr_from_vmcb();

  // vcpu_exits.cpp
  Exit handle_exit();
  Exit handle_plain_exit(svm::ExitCode code);
  Exit handle_hlt();
  void handle_pause();
  std::string where_vmsa() const;
  Exit fail_entry();
  Exit fail_entry_without_vmsa() const;
  Exit unexpected_exit();

  // vcpu_npf.cpp
  Exit handle_npf();
  Exit fault_loop(GuestPhysical gpa, u64 exitinfo1);
  Exit emulate_mmio(MmioEmulator::Outcome outcome);
  bool owns(GuestPhysical gpa) const override;
  u64 read(GuestPhysical gpa, unsigned size) override;
  void write(GuestPhysical gpa, unsigned size, u64 value) override;

  // vcpu_msr.cpp
  std::optional<u64> read_msr(u32 number);
  bool write_msr(u32 number, u64 value);
  bool write_efer(u64 value);
  void update_clock();
  bool write_clock_msr(u32 number, u64 value);
  void note_level_eoi(std::optional<u8> vector);
  void send_ipi();

  // vcpu_plain.cpp: intercepts of a guest without SEV-ES
  CpuidState cpuid_state() const;
  void skip_instruction();
  void plain_cpuid();
  void plain_msr();
  void plain_xsetbv();
  Exit plain_vmmcall();
  std::optional<KvmExit> hypercall(u64 number, const std::array<u64, 3>& arguments) const;
  Exit plain_io();
  Exit plain_string_io();
  void finish_io();
  void finish_string_in(const PlainStringIn& pending);
  Result<void, TranslationFault> copy_guest(GuestVirtual at, std::span<u8> bytes, AccessKind kind);
  void queue_page_fault(const TranslationFault& fault);

  // ghcb_msr.cpp
  u64 features() const;
  Exit handle_vmgexit();
  Exit handle_msr_request(u64 request);
  void answer_msr(u64 request, u64 answer);
  Exit terminate_by_msr(u64 request, const ghcb::TerminationRequest& reason);
  Exit reset_hold(ResetHold kind);

  // ghcb_page.cpp
  Exit handle_page_request(GuestPhysical at);
  void write_ghcb(unsigned offset, u64 value);
  void respond(u64 info1, u64 info2);
  void respond_malformed(ghcb::Malformed error);
  void flush_ghcb();
  Exit dispatch_event();
  Exit refuse(int error, std::string why);

  // ghcb_events.cpp
  Exit event_cpuid();
  Exit event_msr();
  Exit event_vmmcall();
  Exit event_jump_table();
  Exit event_terminate();

  // ghcb_ap_creation.cpp
  bool is_page_address(u64 gpa) const;
  bool injection_mode_is_offered(u8 vmpl, u64 features) const;
  bool ap_creation_is_sound(const ghcb::ApCreation& asked, const VcpuImpl* target) const;
  Exit event_ap_creation();
  Exit event_apic_ids();

  // ghcb_run_vmpl.cpp
  bool can_run_vmpl(u64 vmpl);
  Exit run_vmpl_by_msr(u64 request, u8 vmpl);
  Exit event_run_vmpl();

  // ghcb_io.cpp
  Exit event_io();
  Exit event_string_io(const IoExit& template_exit);
  Exit event_mmio();

  // ghcb_page_state.cpp
  Exit event_page_state();
  Exit continue_page_state();
  void write_page_state();

  // ghcb_guest_request.cpp
  Exit event_guest_request();
  Exit ask_for_certificates();
  Exit continue_with_certificates();
  Exit pass_request_on();
  void respond_vmm_error(ghcb::GuestRequestError error);

  VmContext& vm_;
  u32 index_;
  u32 apic_id_;
  unsigned core_;
  SystemPhysical vmcb_page_;
  alignas(8) svm::Vmcb vmcb_{};
  machine::CoreRegisters registers_;  // plain guests
  svm::Vmsa initial_state_{};
  bool has_state_ = false;
  MpState mp_state_;
  std::optional<TurnEnd> turn_end_;  // the guest has given its turn away

  Vmpl vmpl_ = Vmpl::vmpl0;
  std::array<VmplState, vmpl_count> states_{};
  Vmpl target_vmpl_ = Vmpl::vmpl0;   // of the last AP creation
  bool vmsa_update_wanted_ = false;  // KVM_REQ_UPDATE_PROTECTED_GUEST_STATE
  bool received_first_sipi_ = false;
  ResetHold reset_hold_ = ResetHold::none;

  Lapic lapic_;
  // VMPL0's own under restricted injection: what it sends itself must not be the guest's below it,
  // nor the guest's interrupts VMPL0's (svsm sheet 8.2, [K26]).
  Lapic vmpl0_apic_;
  // Of the VMPL with alternate injection, not yet in VMPL0's doorbell page.
  struct Withheld {
    std::bitset<256> edges, levels;
    bool nmi = false;
    bool any() const { return edges.any() || levels.any() || nmi; }
  } withheld_;
  u8 injection_vector_ = 0;  // tells VMPL0 of them
  bool announce_ = false;    // #HV for them alone
  CpuidTable cpuid_;
  MsrStore msrs_;
  u64 migration_control_ = 0;  // bit 0: the guest says that it can be moved
  bool clock_written_ = false;
  u32 clock_version_ = 0;

  u64 flushed_at_shrink_ = ~u64{0};  // GuestMemory::shrink_count() of the last TLB flush
  std::optional<u8> extint_;
  bool extint_window_wanted_ = false;
  bool nmi_pending_ = false, vmpl0_nmi_pending_ = false;
  std::optional<u8> level_eoi_;
  u8 entry_tpr_ = 0;

  Pending pending_;
  VmmAnswer answer_;
  GhcbSession ghcb_;

  MmioEmulator emulator_;
  struct LastFault {
    GuestPhysical gpa;
    u64 exitinfo1 = 0;
    u32 repeats = 0;
  } last_fault_;
};

}  // namespace softsnp::kvm

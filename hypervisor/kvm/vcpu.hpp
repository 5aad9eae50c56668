// One vCPU: its VMCB, its local APIC, and the loop around VMRUN. Members are grouped by the file
// that defines them. hardware sheet 7-9; GHCB sheet; Linux arch/x86/kvm/svm.
#pragma once

#include <optional>

#include "arch/ghcb/msr_protocol.hpp"
#include "arch/svm/exit_code.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/completion.hpp"
#include "hypervisor/kvm/cpuid.hpp"
#include "hypervisor/kvm/ghcb_request.hpp"
#include "hypervisor/kvm/lapic.hpp"
#include "hypervisor/kvm/mmio_emulator.hpp"
#include "hypervisor/kvm/msr_store.hpp"
#include "hypervisor/kvm/page_state_request.hpp"
#include "hypervisor/kvm/vm_context.hpp"

namespace softsnp::kvm {

class VcpuImpl final : public Vcpu, private MmioDevice {
 public:
  VcpuImpl(VmContext& vm, u32 index, u32 apic_id, SystemPhysical vmcb_page);
  ~VcpuImpl() override;

  // vcpu_setup.cpp
  Result<void, Error> set_state(const svm::Vmsa& state) override;
  svm::Vmsa state() const override;
  void set_cpuid(std::span<const CpuidEntry> entries) override { cpuid_.set(entries); }
  const svm::Vmsa& initial_state() const { return initial_state_; }
  void set_launched(SystemPhysical vmsa, Asid asid);
  void set_encrypted(Asid asid);

  // vcpu_run.cpp
  KvmExit run(u64 deadline_tsc) override;
  void complete_io(std::span<const u8> bytes) override;
  void complete_mmio(std::span<const u8> bytes) override;
  void complete_hypercall(u64 ret) override;
  void complete_certificates(u64 ret, u64 npages) override { answer_certificates_ = {ret, npages}; }
  bool halted() const override;

  // vcpu_inject.cpp
  bool ready_for_extint() const override;
  void queue_extint(u8 vector) override { extint_ = vector; }
  void request_extint_window(bool wanted) override { extint_window_wanted_ = wanted; }
  void inject_nmi() override { nmi_pending_ = true; }

  Lapic& lapic() { return lapic_; }

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
  Exit idle(u64 deadline_tsc);
  u64 quantum(u64 deadline_tsc) const;
  Exit enter(u64 max_instructions);
  Exit resume();
  std::vector<u8> take_answer(usize length);

  // vcpu_inject.cpp
  bool interrupt_flag() const;
  bool in_shadow() const;
  bool has_wake_event() const;
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
  Exit fail_entry();
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
  u64 features() const { return vm_.is_snp() ? ghcb::feature::sev_snp : 0; }
  Exit handle_vmgexit();
  Exit handle_msr_request(u64 request);
  void answer_msr(u64 request, u64 answer);
  Exit terminate_by_msr(u64 request, const ghcb::TerminationRequest& reason);
  Exit reset_hold();

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
  unsigned core_;
  SystemPhysical vmcb_page_;
  alignas(8) svm::Vmcb vmcb_{};
  machine::CoreRegisters registers_;  // plain guests
  svm::Vmsa initial_state_{};
  bool runnable_ = false;

  Lapic lapic_;
  CpuidTable cpuid_;
  MsrStore msrs_;
  u64 migration_control_ = 0;  // bit 0: the guest says that it can be moved
  bool clock_written_ = false;
  u32 clock_version_ = 0;

  u64 flushed_at_shrink_ = ~u64{0};  // GuestMemory::shrink_count() of the last TLB flush
  bool halted_ = false;
  bool held_in_reset_ = false;
  std::optional<u8> extint_;
  bool extint_window_wanted_ = false;
  bool nmi_pending_ = false;
  bool nmi_masked_ = false;
  std::optional<u64> iret_at_;    // RIP of the intercepted IRET that unmasks NMIs
  u64 interrupted_event_ = 0;     // EXITINTINFO to deliver again
  std::optional<u64> exception_;  // EVENTINJ of a queued #GP, #UD, #PF
  std::optional<u8> level_eoi_;
  u8 entry_tpr_ = 0;

  Pending pending_;
  std::vector<u8> answer_bytes_;
  std::optional<u64> answer_return_;
  struct CertificatesAnswer {
    u64 ret = 0;
    u64 npages = 0;
  };
  std::optional<CertificatesAnswer> answer_certificates_;

  // SEV-ES shows these only by write traps.
  u64 trapped_cr0_ = 0, trapped_cr4_ = 0, trapped_efer_ = 0;
  std::optional<GuestPhysical> registered_ghcb_;
  bool ghcb_open_ = false;  // request_ waits for its answer to be written back
  GhcbRequest request_;
  u64 response1_ = 0, response2_ = 0;
  PageStateRequest page_state_;
  std::array<u8, page_size> message_{};  // the guest's message to the AMD-SP, copied

  MmioEmulator emulator_;
  struct LastFault {
    GuestPhysical gpa;
    u64 exitinfo1 = 0;
    u32 repeats = 0;
  } last_fault_;
};

}  // namespace softsnp::kvm

// A vCPU's local APIC, in the hypervisor as in KVM's split irqchip. Time comes in with each call;
// it knows no vCPU and no memory.
#pragma once

#include <optional>
#include <utility>

#include "hypervisor/kvm/lapic_state.hpp"

namespace softsnp::kvm {

// Time as a call sees it: host TSC, its rate, and what the guest's TSC shows more.
struct ApicTime {
  u64 tsc = 0;
  u64 frequency_hz = 0;
  u64 guest_offset = 0;
};

class Lapic {
 public:
  enum class Trigger : u8 { edge, level };
  enum class Role : u8 { bsp, ap };
  // Where a message comes from.
  enum class Source : u8 { ipi, msi };

  explicit Lapic(u32 id, Role role = Role::bsp);

  // INIT: base address, mode and id stay (KVM: kvm_lapic_reset).
  void reset();

  bool is_enabled() const { return (state_.base & apic_base::enabled) != 0; }
  bool is_x2apic() const { return is_enabled() && (state_.base & apic_base::x2apic) != 0; }
  // The page at which an enabled xAPIC answers MMIO.
  bool owns_mmio(u64 gpa) const;

  u64 base() const { return state_.base; }
  // False: an illegal transition, #GP.
  bool set_base(u64 value);

  u32 read(u32 offset, const ApicTime& time) const;
  // The vector of a completed level interrupt if the write was its EOI.
  std::optional<u8> write(u32 offset, u32 value, const ApicTime& time);
  // x2APIC MSRs 800h-8FFh; nullopt: #GP.
  std::optional<u64> read_msr(u32 number, const ApicTime& time) const;
  struct MsrWrite {
    bool ok = false;
    std::optional<u8> level_eoi;
  };
  MsrWrite write_msr(u32 number, u64 value, const ApicTime& time);
  // Reserved bits are clear.
  static bool is_x2apic_icr(u64 value);
  u64 tsc_deadline() const;
  void set_tsc_deadline(u64 guest_tsc, const ApicTime& time);
  // The timer's LVT and its deadline at once; 0 disarms.
  void set_deadline_timer(u8 vector, u64 guest_tsc, const ApicTime& time);

  // Raises what is due at time.tsc.
  void advance(const ApicTime& time);
  // Host TSC of the next timer interrupt; 0 = none runs.
  u64 next_timer() const { return state_.timer_expiry; }
  // The next expiry really raises something.
  bool timer_can_interrupt() const;

  // A message from the bus. False if not accepted.
  bool deliver(DeliveryMode mode, u8 vector, Trigger trigger);
  bool matches(u32 destination, bool is_logical, Source source = Source::msi) const;
  // Enabled by the SVR too: what lowest priority looks at.
  bool is_software_enabled() const { return is_enabled() && (state_.svr & 0x100) != 0; }

  // Highest vector above the processor priority, if any.
  std::optional<u8> pending_vector() const;
  // INTA: IRR -> ISR.
  void acknowledge(u8 vector);
  // Any vector at all, whatever its priority.
  bool has_requests() const;
  // Nothing is served but that edge, and nothing waits: its EOI changes nothing but the ISR.
  bool serves_only_edge(u8 vector) const;
  std::optional<u8> end_of_interrupt();
  // What another APIC's emulation leaves behind; x2APIC mode.
  void take_over(const std::array<u32, 8>& irr, const std::array<u32, 8>& isr, u8 tpr);
  bool accepts_extint() const;
  bool take_nmi() { return std::exchange(state_.nmi_request, false); }
  bool take_init() { return std::exchange(state_.init_request, false); }
  std::optional<u8> take_startup() { return std::exchange(state_.startup_request, std::nullopt); }
  // A write of the ICR that concerns others too, to be carried out by the vCPU.
  std::optional<u64> take_ipi() { return std::exchange(state_.icr_request, std::nullopt); }
  u8 tpr() const { return static_cast<u8>(state_.tpr); }
  void set_tpr(u8 value) { state_.tpr = value; }

  const LapicState& state() const { return state_; }

 private:
  u32 priority() const;
  void write_icr(u64 value);
  void write_lvt(unsigned index, u32 value);
  void start_timer(const ApicTime& time);
  u64 period(const ApicTime& time) const;
  u32 current_count(const ApicTime& time) const;
  lvt::TimerMode timer_mode() const;
  void fire(unsigned lvt_index);

  LapicState state_;
  Role role_;
};

}  // namespace softsnp::kvm

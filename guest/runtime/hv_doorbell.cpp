#include "guest/runtime/hv_doorbell.hpp"

#include "arch/x86/msr.hpp"
#include "guest/runtime/ghcb_msr.hpp"

namespace softsnp::guest {
namespace {

namespace flag = ghcb::doorbell;
constexpr u32 eoi = x86::msr::x2apic_first + 0xB, spurious_vector = x86::msr::x2apic_first + 0xF;

}  // namespace

Handled<void> HvDoorbell::start() {
  const GhcbUse use(client_);
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  client_.begin();
  const auto accepted = client_.call(number(ghcb::Event::hv_doorbell_page),
                                     static_cast<u64>(ghcb::DoorbellAction::set), at_.value());
  if (!accepted) {
    return Failure<Trouble>{accepted.error()};
  }
  // Another page than ours would be another vCPU's, or nobody's.
  return *accepted == at_.value() ? Handled<void>() : trouble(Cause::host_error);
}

Handled<void> HvDoorbell::stop() {
  return ask(ghcb::Event::hv_doorbell_page, static_cast<u64>(ghcb::DoorbellAction::clear), 0);
}

Handled<void> HvDoorbell::ask(ghcb::Event event, u64 info1, u64 info2) {
  const GhcbUse use(client_);
  if (!use.ok()) {
    return trouble(Cause::vc_nested_too_deep);
  }
  client_.begin();
  const auto answer = client_.call(number(event), info1, info2);
  return answer ? Handled<void>() : Failure<Trouble>{answer.error()};
}

Handled<void> HvDoorbell::enable_apic() {
  constexpr u64 enabled_x2apic = u64{3} << 10, software_enabled = 0x1FF;
  const auto base = read_msr(client_, x86::msr::apic_base);
  if (!base) {
    return Failure<Trouble>{base.error()};
  }
  const auto switched = write_msr(client_, x86::msr::apic_base, *base | enabled_x2apic);
  return switched ? write_msr(client_, spurious_vector, software_enabled) : switched;
}

HvDoorbell::Flags HvDoorbell::take_flags() {
  constexpr u8 kept = static_cast<u8>(~(flag::no_further_signal | flag::nmi | flag::machine_check));
  const u8 taken = __atomic_fetch_and(&page_.flags, kept, __ATOMIC_SEQ_CST);
  return {(taken & flag::nmi) != 0, (taken & flag::machine_check) != 0};
}

bool HvDoorbell::take_nmi() {
  const u8 taken = __atomic_fetch_and(&page_.flags, static_cast<u8>(~flag::nmi), __ATOMIC_SEQ_CST);
  return (taken & flag::nmi) != 0;
}

u8 HvDoorbell::take_vector(u8 priority) {
  u8 vector = __atomic_load_n(&page_.vector, __ATOMIC_SEQ_CST);
  while (vector != 0 && (vector & 0xF0) > (priority & 0xF0)) {
    if (__atomic_compare_exchange_n(&page_.vector, &vector, u8{0}, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      return vector;
    }
  }
  return 0;
}

bool HvDoorbell::pending(u8 priority) const {
  const u8 flags = __atomic_load_n(&page_.flags, __ATOMIC_SEQ_CST);
  const u8 vector = __atomic_load_n(&page_.vector, __ATOMIC_SEQ_CST);
  return (flags & flag::no_further_signal) != 0 || (vector & 0xF0) > (priority & 0xF0);
}

// Only bit 0 may be meant to be exchanged; the host writes 0 or 1, so that both readings agree.
Handled<void> HvDoorbell::end_of_interrupt() {
  if (__atomic_exchange_n(&page_.no_eoi_required, u8{0}, __ATOMIC_SEQ_CST) != 0) {
    return {};
  }
  return write_msr(client_, eoi, 0);
}

Handled<void> HvDoorbell::send_ipi(u64 icr) {
  return ask(ghcb::Event::hv_ipi, icr, 0);
}

Handled<void> HvDoorbell::set_timer(u64 deadline, u8 vector) {
  return ask(ghcb::Event::hv_timer, deadline, vector);
}

}  // namespace softsnp::guest

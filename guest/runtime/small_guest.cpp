#include "guest/runtime/small_guest.hpp"

#include "arch/boot/platform.hpp"
#include "guest/runtime/cpu.hpp"

namespace softsnp::guest {
namespace {

constexpr DirectMap identity{};
constexpr psp::CpuidPage no_cpuid_page{1, 0, 0, {}, {}};

}  // namespace

// The order of the members is the order of the steps.
SmallGuest::SmallGuest(SmallGuestMemory& memory, const u8* boot_params)
    : boot_(boot_params, identity),
      sev_status_(processor_.read_msr(x86::msr::sev_status)),
      snp_((sev_status_ & snp::sev_status::sev_snp) != 0),
      tables_(processor_, identity, memory.tables, snp::c_bit),
      vmpl_(find_vmpl(memory)),
      svsm_(processor_, first_calling_area(), identity.of(&first_calling_area())),
      direct_(processor_, identity),
      by_svsm_(svsm_),
      protocol_(start(memory)),
      ghcb_(processor_, memory.ghcb, identity.of(&memory.ghcb), protocol_.version, &memory.backup),
      page_state_(ghcb_),
      memory_(processor_, identity, snp::c_bit),
      cpuid_(must(CpuidTable::of(snp_ ? *must(boot_.cpuid_page()) : no_cpuid_page))),
      vc_{ghcb_, memory_} {
  vc_.cpuid = snp_ ? &cpuid_ : nullptr;
  vc_.has_svsm = vmpl_ != Vmpl::vmpl0;
  vc_.calling_area = svsm_.area_address();
  svsm_.use_ghcb(&ghcb_);
  install_exceptions(memory.exceptions);
}

Vmpl SmallGuest::find_vmpl(SmallGuestMemory& memory) {
  if (!snp_ || runs_at_vmpl0(processor_, GuestVirtual(reinterpret_cast<u64>(memory.probe)))) {
    return Vmpl::vmpl0;
  }
  return must(find_svsm(*must(boot_.secrets()))).vmpl;
}

// Without an SVSM nobody looks at it.
svsm::CallingArea& SmallGuest::first_calling_area() {
  const GuestPhysical at = vmpl_ == Vmpl::vmpl0
                               ? GuestPhysical(page_size)
                               : must(find_svsm(*must(boot_.secrets()))).calling_area;
  return *identity.pointer<svsm::CallingArea>(at);
}

Protocol SmallGuest::start(SmallGuestMemory& memory) {
  MsrProtocol msr(processor_);
  Needs needs = snp_ ? snp_needs : Needs{};
  needs.features |= vmpl_ != Vmpl::vmpl0 ? ghcb::feature::multi_vmpl : 0;
  const Protocol protocol = must(negotiate(msr, needs));
  GhcbSetup setup{processor_, validation(), tables_, snp_};
  must(setup.run(memory.ghcb, identity.of(&memory.ghcb)));
  return protocol;
}

Validation& SmallGuest::validation() {
  return vmpl_ == Vmpl::vmpl0 ? static_cast<Validation&>(direct_) : by_svsm_;
}

void SmallGuest::handle(Frame& frame, void (*other)(const Frame&, const Exception&)) {
  if (frame.vector != static_cast<u64>(x86::Vector::vc)) {
    other(frame, {static_cast<u8>(frame.vector), frame.error != 0, static_cast<u32>(frame.error),
                  processor_.read_cr2()});
    return;
  }
  const auto done = handle_vc(vc_, frame);
  if (done) {
    return;
  }
  if (done.error().kind == Trouble::Kind::fatal) {
    end(done.error().cause);
  }
  other(frame, done.error().exception);
}

void SmallGuest::power_off() {
  using namespace boot::platform;
  out8(sleep_control_port, sleep_type_s5 << sleep_type_shift | sleep_enable);
  halt_forever();
}

}  // namespace softsnp::guest

// All parts of the runtime put together for a guest with one address space, an identity map and
// little ambition: samples, tests, first steps of a unikernel. Larger guests take the parts.
#pragma once

#include "arch/snp/features.hpp"
#include "guest/runtime/boot_information.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/guest_messages.hpp"
#include "guest/runtime/hardware_processor.hpp"
#include "guest/runtime/page_tables.hpp"
#include "guest/runtime/svsm_validation.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/runtime/vc_handler.hpp"

namespace softsnp::guest {

// Static storage of the user's; zero at first.
struct SmallGuestMemory {
  alignas(page_size) ghcb::Ghcb ghcb;
  alignas(page_size) ghcb::Ghcb backup;
  PageTable tables[16];
  alignas(page_size) u8 probe[page_size];
  ExceptionTables exceptions;
};

class SmallGuest {
 public:
  // Finds out where it runs, negotiates, sets the GHCB up (through the SVSM at levels other than 0)
  // and installs the #VC handler. Ends the guest if one of that fails. One a vCPU.
  SmallGuest(SmallGuestMemory& memory, const u8* boot_params);
  SmallGuest(const SmallGuest&) = delete;
  SmallGuest& operator=(const SmallGuest&) = delete;

  HardwareProcessor& processor() { return processor_; }
  const BootInformation& boot() const { return boot_; }
  const Protocol& protocol() const { return protocol_; }
  GhcbClient& ghcb() { return ghcb_; }
  PageTables& tables() { return tables_; }
  Validation& validation();
  PageStatePath& page_state() { return page_state_; }
  MemoryConversion conversion() { return {page_state_, validation(), tables_}; }
  VcState& vc() { return vc_; }
  SvsmClient& svsm() { return svsm_; }
  Vmpl vmpl() const { return vmpl_; }
  u64 sev_status() const { return sev_status_; }

  // For softsnp_guest_exception: a #VC is handled, an exception that it is answered with goes to
  // `other`, as every other vector does. What is fatal ends the guest.
  void handle(Frame& frame, void (*other)(const Frame& frame, const Exception& exception));
  [[noreturn]] void end(Cause cause) { terminate(processor_, cause); }
  template <class T>
  T must(Checked<T> result) {
    return or_terminate(processor_, std::move(result));
  }
  // By ACPI.
  [[noreturn]] void power_off();

 private:
  Vmpl find_vmpl(SmallGuestMemory& memory);
  svsm::CallingArea& first_calling_area();
  Protocol start(SmallGuestMemory& memory);

  HardwareProcessor processor_;
  BootInformation boot_;
  u64 sev_status_;
  bool snp_;
  PageTables tables_;
  Vmpl vmpl_;
  SvsmClient svsm_;
  DirectValidation direct_;
  SvsmValidation by_svsm_;
  Protocol protocol_;
  GhcbClient ghcb_;
  LatePageState page_state_;
  PagedMemory memory_;
  CpuidTable cpuid_;
  VcState vc_;
};

}  // namespace softsnp::guest

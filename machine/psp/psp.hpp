// The AMD Secure Processor: the mailbox's other end. Commands are rows (command_table.cpp); the
// dispatcher does the checks they share, a handler the rest.
#pragma once

#include "arch/psp/status.hpp"
#include "machine/psp/firmware.hpp"

namespace softsnp::psp {

class Psp {
 public:
  // All references must outlive the Psp; observer may be null.
  Psp(const PspConfig& config, memory::Dram& dram, memory::Rmp& rmp, PlatformView& platform,
      Observer* observer = nullptr);

  // One mailbox command: id and sPA of the command buffer. Outputs are in the buffer or where it
  // points. Any number is a valid id: one without a row answers INVALID_COMMAND.
  Status command(u32 id, SystemPhysical buffer);
  Status command(Command id, SystemPhysical buffer) { return command(number(id), buffer); }

  const PspConfig& config() const { return firmware_.config; }
  // Everything that decides future answers, as a value; keys in use lie in DRAM's key table.
  const PspState& state() const { return firmware_.state; }
  void restore(const PspState& state) { firmware_.state = state; }
  // Null if no guest has this context page.
  const GuestContext* guest(SystemPhysical context_page) const;
  // Null if no legacy guest has this handle.
  const SevGuest* sev_guest(u32 handle) const;

 private:
  Firmware firmware_;
};

}  // namespace softsnp::psp

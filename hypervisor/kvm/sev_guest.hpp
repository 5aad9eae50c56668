// The firmware's side of an SEV or SEV-ES VM: handle, ASID, launch commands and their undoing.
// Firmware sheet 1.4, 7.1; Linux arch/x86/kvm/svm/sev.c. On a host with SNP, whatever the firmware
// is to write must be its page for the time of the command.
#pragma once

#include <vector>

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/guest_memory.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

class SevGuest {
 public:
  SevGuest(host::HostKernel& host, GuestMemory& memory, VmType type)
      : host_(host), memory_(memory), type_(type) {}
  // DEACTIVATE and DECOMMISSION; VMSA pages back to the host.
  ~SevGuest();
  SevGuest(const SevGuest&) = delete;
  SevGuest& operator=(const SevGuest&) = delete;

  Result<void, Error> start(const SevLaunchStart& start);
  Result<void, Error> update(GuestPhysical gpa, u64 length);
  static constexpr usize measurement_bytes = 0x30;  // firmware sheet 7.3
  // Encrypts and measures one vCPU's initial state; the page the VMCB must point to.
  Result<SystemPhysical, Error> add_vmsa(const svm::Vmsa& state);
  Result<std::array<u8, measurement_bytes>, Error> measure();
  Result<void, Error> secret(GuestPhysical gpa, std::span<const u8> header,
                             std::span<const u8> packet);
  Result<void, Error> finish();
  // DBG_DECRYPT: length bytes at gpa, both multiples of 16, within one page.
  Result<void, Error> debug_read(GuestPhysical gpa, std::span<u8> to);
  // DBG_ENCRYPT.
  Result<void, Error> debug_write(GuestPhysical gpa, std::span<const u8> from);

  bool is_launched() const { return stage_ == Stage::finished; }
  Asid asid() const { return asid_; }

 private:
  enum class Stage : u8 { none, started, measured, finished };

  Result<void, Error> expect(Stage stage) const;
  Result<void, Error> command(psp::Command id, std::span<u8> buffer);
  template <class Buffer>
  Result<void, Error> command(psp::Command id, Buffer& buffer) {
    return command(id, std::span<u8>(reinterpret_cast<u8*>(&buffer), sizeof buffer));
  }
  // The command with page as the firmware's.
  template <class Buffer>
  Result<void, Error> command_on(SystemPhysical page, psp::Command id, Buffer& buffer);
  Result<SystemPhysical, Error> page_with(std::span<const u8> bytes);
  Result<void, Error> launch(const SevLaunchStart& start);
  Result<void, Error> activate();

  host::HostKernel& host_;
  GuestMemory& memory_;
  VmType type_;
  Stage stage_ = Stage::none;
  u32 handle_ = 0;  // 0: none
  Asid asid_ = Asid::host;
  std::vector<SystemPhysical> vmsas_;
};

}  // namespace softsnp::kvm

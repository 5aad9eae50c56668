// Calls to the Secure VM Service Module at VMPL0, by a guest at another level. SVSM sheet 1-4.
#pragma once

#include "arch/psp/secrets_page.hpp"
#include "arch/svsm/calling_area.hpp"
#include "arch/svsm/result_code.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {

// Where the firmware's secrets page, as the SVSM hands it on, says the SVSM is. SVSM sheet 1.1.
struct SvsmLocation {
  GuestPhysical base;
  u64 bytes;
  GuestPhysical calling_area;  // the boot vCPU's first
  u32 highest_version;
  Vmpl vmpl;  // the guest's own
};
Checked<SvsmLocation> find_svsm(const psp::SecretsPage& secrets);
// RMPADJUST of a level below works at VMPL0 alone. The page is validated and 4 KiB in the RMP.
bool runs_at_vmpl0(Processor& processor, GuestVirtual own_page);

// What the SVSM said. Whether it was asked at all is the Cause around it: the two are different
// worlds, and RAX has 64 bits.
struct SvsmAnswer {
  svsm::ResultCode code;
  svsm::Registers registers;
  bool ok() const { return code == svsm::ResultCode::success; }
};

// One vCPU's.
class SvsmClient {
 public:
  // The first calling area (find_svsm). No GHCB: requests go by the MSR protocol until use_ghcb().
  SvsmClient(Processor& processor, svsm::CallingArea& area, GuestPhysical at)
      : processor_(processor), area_(&area), at_(at) {}

  void use_ghcb(GhcbClient* client) { ghcb_ = client; }
  svsm::CallingArea& area() { return *area_; }
  GuestPhysical area_address() const { return at_; }

  // RAX of `in` is composed here. BUSY and INCOMPLETE are asked again, RAX loaded anew.
  Checked<SvsmAnswer> call(svsm::Protocol protocol, u32 id, svsm::Registers in = {});
  Checked<SvsmAnswer> call(svsm::CoreCall id, svsm::Registers in = {}) {
    return call(svsm::Protocol::core, static_cast<u32>(id), in);
  }
  Checked<SvsmAnswer> call(svsm::AttestationCall id, svsm::Registers in = {}) {
    return call(svsm::Protocol::attestation, static_cast<u32>(id), in);
  }
  Checked<SvsmAnswer> call(svsm::VtpmCall id, svsm::Registers in = {}) {
    return call(svsm::Protocol::vtpm, static_cast<u32>(id), in);
  }

  // REMAP_CA; from then on `area`, a private page of its own, is this vCPU's calling area.
  Checked<void> remap(svsm::CallingArea& area, GuestPhysical at);
  // CREATE_VCPU, DELETE_VCPU: any answer but success is a failure.
  Checked<void> create_vcpu(GuestPhysical vmsa, GuestPhysical calling_area, u32 apic_id);
  Checked<void> delete_vcpu(GuestPhysical vmsa);
  // False: the SVSM does not offer this version of the protocol.
  Checked<bool> offers(svsm::Protocol protocol, u32 version);

 private:
  Checked<svsm::Registers> exchange(const svsm::Registers& in);
  Checked<svsm::Registers> by_msr(const svsm::Registers& in);
  Checked<svsm::Registers> by_ghcb(const svsm::Registers& in);
  bool end_call();
  Checked<void> demand(svsm::CoreCall id, const svsm::Registers& in, Cause otherwise);

  Processor& processor_;
  GhcbClient* ghcb_ = nullptr;
  svsm::CallingArea* area_;
  GuestPhysical at_;
};

}  // namespace softsnp::guest

// The firmware's side of an SNP VM: guest context, ASID, launch commands and their undoing.
// Firmware sheet 1.4, 1.6, 2.1; Linux arch/x86/kvm/svm/sev.c.
#pragma once

#include <vector>

#include "arch/psp/guest_buffers.hpp"
#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/guest_memory.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

class SnpGuest {
 public:
  SnpGuest(host::HostKernel& host, GuestMemory& memory) : host_(host), memory_(memory) {}
  // DECOMMISSION, and every page of the firmware and of the vCPUs back to the host.
  ~SnpGuest();
  SnpGuest(const SnpGuest&) = delete;
  SnpGuest& operator=(const SnpGuest&) = delete;

  Result<void, Error> start(const LaunchStart& start);
  Result<void, Error> update(const LaunchUpdate& update, std::vector<u8>* corrected);
  // Encrypts and measures one vCPU's initial state, with features beside SNPActive; the page the
  // VMCB must point to.
  Result<SystemPhysical, Error> add_vmsa(const svm::Vmsa& state, u64 features = 0);
  Result<void, Error> finish(const LaunchFinish& finish);

  // SNP_GUEST_REQUEST with bounce pages. Gives the firmware's status; the response is written
  // whatever it is.
  Result<u16, Error> guest_request(std::span<const u8, page_size> request,
                                   std::span<u8, page_size> response);

  bool is_launched() const { return stage_ == Stage::finished; }
  bool is_started() const { return stage_ != Stage::none; }
  Asid asid() const { return asid_; }
  SystemPhysical context() const { return context_; }

 private:
  enum class Stage : u8 { none, started, finished };

  Result<void, Error> command(psp::Command id, std::span<u8> buffer);
  template <class Buffer>
  Result<void, Error> command(psp::Command id, Buffer& buffer) {
    return command(id, std::span<u8>(reinterpret_cast<u8*>(&buffer), sizeof buffer));
  }
  Result<void, Error> create_context(u64 policy);
  Result<void, Error> activate();
  Result<void, Error> launch_page(SystemPhysical page, PageSize size, psp::PageType type);
  Result<void, Error> update_one(const LaunchUpdate& update, u64 done,
                                 const GuestMemory::LaunchPage& page, std::vector<u8>* corrected);
  void fill(SystemPhysical page, std::span<const u8> bytes);
  Result<SystemPhysical, Error> page_with(std::span<const u8> bytes);

  host::HostKernel& host_;
  GuestMemory& memory_;
  Stage stage_ = Stage::none;
  Asid asid_ = Asid::host;
  SystemPhysical context_{};
  bool context_created_ = false;
  SystemPhysical request_page_{};   // hypervisor-owned copy of a guest's request
  SystemPhysical response_page_{};  // state Firmware
  std::vector<SystemPhysical> vmsas_;
};

}  // namespace softsnp::kvm

// What devices see of a VM: its clock and its interrupt messages.
#pragma once

#include "hypervisor/kvm/kvm.hpp"
#include "vmm/devices/ports.hpp"

namespace softsnp::vmm {

// Virtual time since the VM was made.
class VmClock final : public devices::Clock {
 public:
  explicit VmClock(const kvm::Vm& vm) : vm_(vm), origin_(vm.now()) {}
  u64 now() const override { return vm_.now() - origin_; }
  u64 frequency_hz() const override {
    const u64 hz = vm_.tsc_frequency_hz();
    return hz == 0 ? 1 : hz;
  }
  u64 to_tsc(u64 time) const { return origin_ + time; }

 private:
  const kvm::Vm& vm_;
  u64 origin_;
};

class VmMessages final : public devices::MessagePort {
 public:
  explicit VmMessages(kvm::Vm& vm) : vm_(vm) {}
  void send(u64 address, u32 data) override { vm_.signal_msi(address, data); }

 private:
  kvm::Vm& vm_;
};

}  // namespace softsnp::vmm

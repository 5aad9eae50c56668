// The vCPUs of a VM, in the order they were made, and how interrupt messages find them.
#pragma once

#include <memory>
#include <vector>

#include "hypervisor/kvm/apic_message.hpp"

namespace softsnp::kvm {

class VcpuImpl;

class VcpuSet {
 public:
  VcpuSet();
  ~VcpuSet();
  VcpuSet(const VcpuSet&) = delete;
  VcpuSet& operator=(const VcpuSet&) = delete;

  void add(std::unique_ptr<VcpuImpl> vcpu);
  void clear();
  usize size() const { return vcpus_.size(); }
  VcpuImpl& operator[](usize index) const { return *vcpus_[index]; }
  // Null: nobody has that APIC id. KVM: kvm_get_vcpu_by_id().
  VcpuImpl* find(u32 apic_id) const;

  // One of them but that has something to do now.
  bool others_can_run(usize but) const;

  // from: null for a device. True if a vCPU other than the sender took it.
  bool send(ApicMessage message, const VcpuImpl* from);

  auto begin() const { return vcpus_.begin(); }
  auto end() const { return vcpus_.end(); }

 private:
  bool is_for(const ApicMessage& message, const VcpuImpl* from, const VcpuImpl& to) const;

  std::vector<std::unique_ptr<VcpuImpl>> vcpus_;
};

}  // namespace softsnp::kvm

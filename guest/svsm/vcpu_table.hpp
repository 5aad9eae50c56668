// The guest's vCPUs and every VMSA that the SVSM has made for them. Freestanding.
#pragma once

#include "guest/svsm/memory_map.hpp"

namespace softsnp::svsm {

inline constexpr usize max_vcpus = 64;

// One vCPU of the machine. No VMSA: the guest has not created it yet, or has deleted it.
struct GuestVcpu {
  u32 apic_id = 0;
  GuestPhysical vmsa;
  GuestPhysical calling_area;

  bool exists() const { return vmsa != GuestPhysical(0); }
};

// A page that RMPADJUST has made a VMSA; closed to the guest until DELETE_VCPU. One that
// CREATE_VCPU has replaced belongs to no vCPU any more, and has no Calling Area.
struct VmsaRecord {
  GuestPhysical page;  // 0: free
  u32 apic_id = 0;
  bool startup = false;
};

class VcpuTable {
 public:
  // APIC ids from 0 up; count is at most max_vcpus.
  constexpr VcpuTable() = default;
  explicit VcpuTable(usize count);

  usize count() const { return count_; }
  GuestVcpu& operator[](usize index) { return vcpus_[index]; }
  const GuestVcpu& operator[](usize index) const { return vcpus_[index]; }
  GuestVcpu* find(u64 apic_id);

  bool is_vmsa(const Stretch& range) const;
  // Of any vCPU but except.
  bool is_calling_area(const Stretch& range, const GuestVcpu* except = nullptr) const;

  // All that were ever taken, free ones among them.
  const VmsaRecord* begin() const { return records_; }
  const VmsaRecord* end() const { return records_ + taken_; }
  VmsaRecord* record_of(GuestPhysical vmsa);
  // For the caller to fill. Null: no room.
  VmsaRecord* free_record();

 private:
  // A VMSA a vCPU, one to replace each, and some that the guest has not deleted.
  static constexpr usize max_records = 4 * max_vcpus;
  GuestVcpu vcpus_[max_vcpus];
  usize count_ = 0;
  VmsaRecord records_[max_records];
  usize taken_ = 0;
};

}  // namespace softsnp::svsm

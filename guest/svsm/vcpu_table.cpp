#include "guest/svsm/vcpu_table.hpp"

namespace softsnp::svsm {

VcpuTable::VcpuTable(usize count) : count_(count) {
  for (usize i = 0; i < count; ++i) {
    vcpus_[i].apic_id = static_cast<u32>(i);
  }
}

GuestVcpu* VcpuTable::find(u64 apic_id) {
  for (usize i = 0; i < count_; ++i) {
    if (vcpus_[i].apic_id == apic_id) {
      return &vcpus_[i];
    }
  }
  return nullptr;
}

bool VcpuTable::is_vmsa(const Stretch& range) const {
  for (const VmsaRecord& record : *this) {
    if (record.page != GuestPhysical(0) && range.overlaps(page_at(record.page))) {
      return true;
    }
  }
  return false;
}

bool VcpuTable::is_calling_area(const Stretch& range, const GuestVcpu* except) const {
  for (usize i = 0; i < count_; ++i) {
    const GuestVcpu& vcpu = vcpus_[i];
    if (&vcpu != except && vcpu.exists() && range.overlaps(page_at(vcpu.calling_area))) {
      return true;
    }
  }
  return false;
}

VmsaRecord* VcpuTable::record_of(GuestPhysical vmsa) {
  for (usize i = 0; i < taken_; ++i) {
    if (records_[i].page == vmsa && vmsa != GuestPhysical(0)) {
      return &records_[i];
    }
  }
  return nullptr;
}

VmsaRecord* VcpuTable::free_record() {
  for (usize i = 0; i < max_records; ++i) {
    if (records_[i].page == GuestPhysical(0)) {
      taken_ = taken_ > i ? taken_ : i + 1;
      return &records_[i];
    }
  }
  return nullptr;
}

}  // namespace softsnp::svsm

// The I/O and MSR permission maps. APM2 15.10.1, 15.11; linux-boot sheet 2.7 for what KVM lets
// through.
#pragma once

#include <vector>

#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

inline constexpr u64 io_map_bytes = 3 * page_size;
inline constexpr u64 msr_map_bytes = 2 * page_size;
inline constexpr unsigned permission_map_pages = (io_map_bytes + msr_map_bytes) / page_size;

// Every port is intercepted.
std::vector<u8> make_io_permissions();
// Every MSR is intercepted but those of the list.
std::vector<u8> make_msr_permissions(VmType type);

}  // namespace softsnp::kvm

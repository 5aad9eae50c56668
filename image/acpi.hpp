// The ACPI tables of the platform. linux-boot sheet 4.2, option (g); ACPI 6.5 chapters 4.8, 5.2.
#pragma once

#include <vector>

#include "arch/address.hpp"

namespace softsnp::image {

// RSDP at base, the other tables after it; at most low::acpi_end - low::acpi bytes for up to
// maximum_vcpus.
std::vector<u8> acpi_tables(GuestPhysical base, unsigned vcpu_count);

inline constexpr unsigned maximum_vcpus = 255;

}  // namespace softsnp::image

// The page states of the RMP as the firmware names them: one table, evaluated.
// Hardware sheet 3.3.
#pragma once

#include <array>

#include "arch/snp/rmp.hpp"

namespace softsnp::memory {

class Rmp;

enum class PageState : u8 {
  hypervisor,
  hv_fixed,
  firmware,
  firmware_iommu,
  reclaim,
  context,
  metadata,
  pre_guest,
  pre_swap,
  guest_invalid,
  guest_valid,
  default_,  // no RMP entry
  invalid,   // a combination without a row
};
const char* name(PageState state);

// The firmware's tag in the top bits of the GPA field of non-guest entries (hardware sheet 3.1).
enum class FirmwareTag : u8 { firmware = 0, metadata = 1, firmware_iommu = 2 };
inline constexpr unsigned firmware_tag_shift = 48;  // GPA field bits 38:36

constexpr GuestPhysical tagged_gpa(FirmwareTag tag, u64 value) {
  return GuestPhysical(with_bits(value, 50, firmware_tag_shift, static_cast<u64>(tag)));
}
// GPA field of a metadata page: the guest context it belongs to.
constexpr GuestPhysical metadata_gpa(SystemPhysical context) {
  return tagged_gpa(FirmwareTag::metadata, context.value());
}
// GPA field of a firmware-IOMMU page: tag 2, value 1.
inline constexpr GuestPhysical firmware_iommu_gpa =
    tagged_gpa(FirmwareTag::firmware_iommu, page_size);
// The context page that a metadata page belongs to.
constexpr SystemPhysical metadata_context(const snp::RmpEntry& entry) {
  return SystemPhysical(entry.gpa().value() & mask_bits(firmware_tag_shift - 1, page_shift));
}

enum class Want : u8 { no, yes, any };
enum class WantGpa : u8 { any, zero, metadata, firmware_iommu };

struct PageStateRow {
  PageState state;
  Want assigned;
  Want validated;
  Want has_asid;
  Want immutable;
  WantGpa gpa;
  Want vmsa;
  Want locked;
};

// Rows exclude each other; a test shows it.
inline constexpr std::array page_state_table = {
    PageStateRow{PageState::hypervisor, Want::no, Want::no, Want::no, Want::no, WantGpa::any,
                 Want::any, Want::any},
    PageStateRow{PageState::hv_fixed, Want::no, Want::no, Want::no, Want::yes, WantGpa::any,
                 Want::any, Want::any},
    PageStateRow{PageState::firmware, Want::yes, Want::no, Want::no, Want::yes, WantGpa::zero,
                 Want::no, Want::any},
    PageStateRow{PageState::firmware_iommu, Want::yes, Want::no, Want::no, Want::yes,
                 WantGpa::firmware_iommu, Want::no, Want::any},
    PageStateRow{PageState::reclaim, Want::yes, Want::no, Want::no, Want::no, WantGpa::any,
                 Want::any, Want::no},
    PageStateRow{PageState::context, Want::yes, Want::no, Want::no, Want::yes, WantGpa::zero,
                 Want::yes, Want::any},
    PageStateRow{PageState::metadata, Want::yes, Want::no, Want::no, Want::yes, WantGpa::metadata,
                 Want::any, Want::any},
    PageStateRow{PageState::pre_guest, Want::yes, Want::no, Want::yes, Want::yes, WantGpa::any,
                 Want::any, Want::any},
    PageStateRow{PageState::pre_swap, Want::yes, Want::yes, Want::yes, Want::yes, WantGpa::any,
                 Want::any, Want::any},
    PageStateRow{PageState::guest_invalid, Want::yes, Want::no, Want::yes, Want::no, WantGpa::any,
                 Want::any, Want::any},
    PageStateRow{PageState::guest_valid, Want::yes, Want::yes, Want::yes, Want::no, WantGpa::any,
                 Want::any, Want::any},
};

constexpr bool agrees(Want want, bool value) {
  return want == Want::any || (want == Want::yes) == value;
}
constexpr bool agrees(WantGpa want, GuestPhysical gpa) {
  switch (want) {
    case WantGpa::any:
      return true;
    case WantGpa::zero:
      return gpa == GuestPhysical(0);
    case WantGpa::metadata:
      return gpa.value() >> firmware_tag_shift == static_cast<u64>(FirmwareTag::metadata);
    case WantGpa::firmware_iommu:
      return gpa == firmware_iommu_gpa;
  }
  return false;
}
constexpr bool agrees(const PageStateRow& row, const snp::RmpEntry& entry) {
  return agrees(row.assigned, entry.assigned()) && agrees(row.validated, entry.validated()) &&
         agrees(row.has_asid, entry.asid() != Asid::host) &&
         agrees(row.immutable, entry.immutable()) && agrees(row.gpa, entry.gpa()) &&
         agrees(row.vmsa, entry.vmsa()) && agrees(row.locked, entry.locked());
}

// State of an entry that describes its page (not of the tail of a 2M page); never default_.
constexpr PageState state_of(const snp::RmpEntry& entry) {
  for (const PageStateRow& row : page_state_table) {
    if (agrees(row, entry)) {
      return row.state;
    }
  }
  return PageState::invalid;
}

// State of the page, of the 2M page it is part of, or default_ where no entry exists.
PageState page_state(const Rmp& rmp, SystemPhysical page);

}  // namespace softsnp::memory

// RANGE_LIST of SNP_INIT_EX and SNP_PAGE_SET_STATE, copied in. Firmware sheet 1.6 (SNP_INIT_EX).
#pragma once

#include <optional>
#include <vector>

#include "machine/psp/firmware_port.hpp"

namespace softsnp::psp {

struct PageRange {
  SystemPhysical base;
  u64 pages = 0;
  bool contains(SystemPhysical page) const {
    return page >= base && page.page_number() - base.page_number() < pages;
  }
};

// Nothing if the list is malformed: not inside one page of DRAM, too long, reserved bits set, a
// base not aligned, a range that wraps.
std::optional<std::vector<PageRange>> read_range_list(FirmwarePort& port, SystemPhysical list,
                                                      u64 base_alignment);

}  // namespace softsnp::psp

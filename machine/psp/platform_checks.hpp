// What SNP_INIT(_EX) demands of the processor's configuration. Firmware sheet 1.6 (SNP_INIT_EX),
// hardware sheet 1.5.
#pragma once

#include "arch/address.hpp"
#include "arch/psp/status.hpp"
#include "machine/psp/platform_view.hpp"

namespace softsnp::psp {

struct ConfigCheck {
  Status status = Status::success;
  const char* detail = "";
};

// initialise_rmp: INIT_RMP, which also demands that no core has a host save area.
ConfigCheck check_platform_config(const PlatformView& platform, bool initialise_rmp);

// Address ranges that SMM owns, from core 0's registers; empty ranges have no bytes.
struct SmmRange {
  SystemPhysical base;
  u64 bytes = 0;
};
struct SmmRanges {
  SmmRange aseg;
  SmmRange tseg;
};
SmmRanges smm_ranges(const PlatformView& platform);

}  // namespace softsnp::psp

#include "machine/memory/rmp/page_state.hpp"

#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::memory {

const char* name(PageState state) {
  switch (state) {
    case PageState::hypervisor:
      return "Hypervisor";
    case PageState::hv_fixed:
      return "HV-Fixed";
    case PageState::firmware:
      return "Firmware";
    case PageState::firmware_iommu:
      return "Firmware-IOMMU";
    case PageState::reclaim:
      return "Reclaim";
    case PageState::context:
      return "Context";
    case PageState::metadata:
      return "Metadata";
    case PageState::pre_guest:
      return "Pre-Guest";
    case PageState::pre_swap:
      return "Pre-Swap";
    case PageState::guest_invalid:
      return "Guest-Invalid";
    case PageState::guest_valid:
      return "Guest-Valid";
    case PageState::default_:
      return "Default";
    case PageState::invalid:
      return "invalid";
  }
  return "unknown state";
}

PageState page_state(const Rmp& rmp, SystemPhysical page) {
  return rmp.covered(page) ? state_of(rmp.effective_entry(page)) : PageState::default_;
}

}  // namespace softsnp::memory

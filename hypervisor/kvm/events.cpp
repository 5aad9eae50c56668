#include "hypervisor/kvm/events.hpp"

namespace softsnp::kvm {

const char* name(NpfResolution resolution) {
  switch (resolution) {
    case NpfResolution::mapped_4k:
      return "mapped 4K";
    case NpfResolution::mapped_2m:
      return "mapped 2M";
    case NpfResolution::mmio_entry:
      return "MMIO entry installed";
    case NpfResolution::mmio_emulated:
      return "MMIO emulated";
    case NpfResolution::smashed:
      return "RMP entry split";
    case NpfResolution::split:
      return "nested mapping split";
    case NpfResolution::mismatch:
      return "private/shared mismatch";
    case NpfResolution::spurious:
      return "spurious";
    case NpfResolution::out_of_memory:
      return "out of memory";
    case NpfResolution::no_backing:
      return "no memory behind the slot";
    case NpfResolution::unresolved:
      return "unresolved";
  }
  return "unknown";
}

}  // namespace softsnp::kvm

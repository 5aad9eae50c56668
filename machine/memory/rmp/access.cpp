#include "machine/memory/rmp/access.hpp"

namespace softsnp::memory {

const char* name(Rule rule) {
  switch (rule) {
    case Rule::none:
      return "none";
    case Rule::covered:
      return "RMP-Covered";
    case Rule::hypervisor_owned:
      return "Hypervisor-Owned";
    case Rule::guest_owned:
      return "Guest-Owned";
    case Rule::reverse_map:
      return "Reverse-Map";
    case Rule::is_mutable:
      return "Mutable";
    case Rule::page_size:
      return "Page-Size";
    case Rule::validated:
      return "Validated";
    case Rule::vmpl:
      return "VMPL";
    case Rule::vmsa:
      return "VMSA";
    case Rule::in_use:
      return "in use";
  }
  return "unknown rule";
}

const char* name(AskerKind kind) {
  switch (kind) {
    case AskerKind::host:
      return "host";
    case AskerKind::guest:
      return "guest";
    case AskerKind::snp_guest:
      return "SNP guest";
    case AskerKind::device:
      return "device";
  }
  return "unknown asker";
}

const char* name(AccessKind kind) {
  switch (kind) {
    case AccessKind::read:
      return "read";
    case AccessKind::write:
      return "write";
    case AccessKind::fetch:
      return "fetch";
    case AccessKind::table_walk:
      return "page-table walk";
  }
  return "unknown access";
}

}  // namespace softsnp::memory

// The last access that the RMP refused: kept for explanations, never read by the machine itself.
#pragma once

#include "arch/snp/rmp.hpp"
#include "machine/memory/rmp/access.hpp"

namespace softsnp::cpu {

struct Denial {
  memory::Rule rule = memory::Rule::none;  // none: no refusal yet
  memory::AccessRequest request;
  u64 linear = 0;  // gVA, or the linear address whose table walk was refused
  u64 rip = 0;     // as of the last block boundary or stop
  bool has_entry = false;
  snp::RmpEntry entry;  // the RMP entry that said no, as it was
};

}  // namespace softsnp::cpu

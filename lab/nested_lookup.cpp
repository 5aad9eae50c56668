#include "lab/nested_lookup.hpp"

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"

namespace softsnp::lab {

using namespace x86;

std::optional<NestedLeaf> find_leaf(machine::HostPort& port, SystemPhysical nested_cr3,
                                    GuestPhysical gpa) {
  SystemPhysical table = nested_cr3.page();
  for (unsigned level = 4; level-- > 0;) {
    const unsigned shift = page_shift + 9 * level;
    const SystemPhysical at = table + ((gpa.value() >> shift) & 511) * 8;
    u8 bytes[8];
    if (!port.load(at, bytes)) {
      return std::nullopt;
    }
    const u64 entry = load_le<u64>(bytes);
    if ((entry & pte::present) == 0) {
      return std::nullopt;
    }
    if (level == 0 || (entry & pte::large) != 0) {
      const u64 span = u64{1} << shift;
      const u64 base = entry & pte::address_mask & ~(span - 1);
      return NestedLeaf{at, entry, SystemPhysical(base + (gpa.page().value() & (span - 1))),
                        level != 0};
    }
    table = SystemPhysical(entry & pte::address_mask);
  }
  return std::nullopt;
}

svm::Vmcb read_vmcb(machine::HostPort& port, SystemPhysical at) {
  svm::Vmcb vmcb{};
  (void)port.load(at, vmcb.raw);
  return vmcb;
}

}  // namespace softsnp::lab

#include "hypervisor/kvm/vmpl_interrupts.hpp"

namespace softsnp::kvm {
namespace status = ghcb::vmpl_status;
namespace {

// VMPL0 looks at the IRR alone once multiple_vectors is set.
void add_to_irr(ghcb::VmplInterrupts& to, u8 vector) {
  if (vector == 31) {
    to.status |= status::vector_31;
  } else {
    to.irr[vector / 32 - 1] |= 1u << (vector % 32);
  }
}

}  // namespace

bool present_edge(ghcb::VmplInterrupts& to, u8 vector) {
  const u8 there = static_cast<u8>(to.status & status::vector);
  if (there == 0 && (to.status & status::multiple_vectors) == 0) {
    to.status |= vector;
    return true;
  }
  if (there != 0 && (to.status & (status::level_sensitive | status::multiple_vectors)) == 0) {
    add_to_irr(to, there);
    to.status &= ~status::vector;
  }
  add_to_irr(to, vector);
  to.status |= status::multiple_vectors;
  return true;
}

bool present_level(ghcb::VmplInterrupts& to, u8 vector) {
  const u8 there = static_cast<u8>(to.status & status::vector);
  if ((to.status & status::level_sensitive) != 0) {
    return there == vector;
  }
  if (there != 0) {
    add_to_irr(to, there);
    to.status |= status::multiple_vectors;
  }
  to.status = (to.status & ~status::vector) | vector | status::level_sensitive;
  return true;
}

bool present_nmi(ghcb::VmplInterrupts& to) {
  to.status |= status::nmi;
  return true;
}

HandedOver take_over(const ghcb::VmplInterrupts& from) {
  HandedOver taken;
  const u8 there = static_cast<u8>(from.status & status::vector);
  if (there >= 31) {
    taken.irr[there / 32] |= 1u << (there % 32);
  }
  taken.irr[0] |= (from.status & status::vector_31) != 0 ? 1u << 31 : 0;
  for (unsigned i = 1; i < 8; ++i) {
    taken.irr[i] |= from.irr[i - 1];
  }
  for (unsigned i = 0; i < 8; ++i) {
    taken.isr[i] = from.isr[i];
  }
  taken.nmi = (from.status & status::nmi) != 0;
  return taken;
}

}  // namespace softsnp::kvm

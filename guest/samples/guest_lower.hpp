// A small program at VMPL2 of the sample's own vCPU, with alternate injection.
#pragma once

#include "arch/svm/vmsa.hpp"

namespace softsnp::guest {

// Grants it its pages, makes its save area and tells the host. It counts vector's interrupts, now
// halted with interrupts on, now busy with interrupts off. Requires start_doorbell().
svm::Vmsa& make_lower_vmpl(u8 vector);
u64 lower_interrupts();

}  // namespace softsnp::guest

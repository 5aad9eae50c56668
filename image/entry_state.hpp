// The first vCPU's registers. linux-boot sheet 1.4; Multiboot Specification 3.2.
#pragma once

#include "image/launch_plan.hpp"

namespace softsnp::image {

// Long mode, paging on with the loader's identity map, interrupts off; other registers zero.
svm::Vmsa long_mode_state(Mode mode, GuestPhysical entry, GuestPhysical boot_info);

// Protected mode, paging off, flat segments; EAX and EBX as Multiboot asks.
svm::Vmsa protected_mode_state(Mode mode, GuestPhysical entry, GuestPhysical boot_info);

// The state of the other vCPUs: after INIT (APM2 14.1.3), but in SEV-ES guests at the boot code
// that leads them through the AP jump table, where the first start-up request finds them.
svm::Vmsa ap_state(Mode mode);

// The state that runs the boot code first and then goes on as entry says (guest/boot).
svm::Vmsa through_boot_code(const svm::Vmsa& entry);

// The descriptor table both states' selectors refer to, for guests that reload a segment before
// they bring their own: 8 code32, 10h code64, 18h data (Linux' numbers for the last two).
std::vector<u8> descriptor_table();

}  // namespace softsnp::image

// The virtual machine control block and the bits of its control fields.
// Hardware sheet 8.2, 8.3 (APM2 appendix B). Freestanding.
#pragma once

#include "arch/svm/vmsa.hpp"
#include "base/bits.hpp"

namespace softsnp::svm {

union Vmcb {
  u8 raw[page_size];
#define FIELD(offset, type, name)  \
  struct __attribute__((packed)) { \
    u8 before_##name[offset];      \
    type name;                     \
  };
#include "arch/svm/vmcb_fields.inc"
#undef FIELD
};
static_assert(sizeof(Vmcb) == page_size);

inline constexpr FieldInfo vmcb_fields[] = {
#define FIELD(offset, type, name) {offset, sizeof(type), #name},
#include "arch/svm/vmcb_fields.inc"
#undef FIELD
};
static_assert(ordered_without_overlap(vmcb_fields, page_size));

inline constexpr u64 vmcb_control_bytes = 0x400;

// Bits of 00Ch.
namespace misc1 {
inline constexpr u32 intr = 1u << 0, nmi = 1u << 1, smi = 1u << 2, init = 1u << 3, vintr = 1u << 4,
                     cr0_selective = 1u << 5, idtr_read = 1u << 6, gdtr_read = 1u << 7,
                     ldtr_read = 1u << 8, tr_read = 1u << 9, idtr_write = 1u << 10,
                     gdtr_write = 1u << 11, ldtr_write = 1u << 12, tr_write = 1u << 13,
                     rdtsc = 1u << 14, rdpmc = 1u << 15, pushf = 1u << 16, popf = 1u << 17,
                     cpuid = 1u << 18, rsm = 1u << 19, iret = 1u << 20, intn = 1u << 21,
                     invd = 1u << 22, pause = 1u << 23, hlt = 1u << 24, invlpg = 1u << 25,
                     invlpga = 1u << 26, ioio = 1u << 27, msr = 1u << 28, task_switch = 1u << 29,
                     ferr_freeze = 1u << 30, shutdown = 1u << 31;
}
// Bits of 010h.
namespace misc2 {
inline constexpr u32 vmrun = 1u << 0, vmmcall = 1u << 1, vmload = 1u << 2, vmsave = 1u << 3,
                     stgi = 1u << 4, clgi = 1u << 5, skinit = 1u << 6, rdtscp = 1u << 7,
                     icebp = 1u << 8, wbinvd = 1u << 9, monitor = 1u << 10, mwait = 1u << 11,
                     mwait_armed = 1u << 12, xsetbv = 1u << 13, rdpru = 1u << 14,
                     efer_write_trap = 1u << 15;
inline constexpr unsigned cr_write_trap_shift = 16;
}  // namespace misc2
// Bits of 014h.
namespace misc3 {
inline constexpr u32 invlpgb = 1u << 0, invlpgb_illegal = 1u << 1, invpcid = 1u << 2,
                     mcommit = 1u << 3, tlbsync = 1u << 4, bus_lock = 1u << 5, idle_hlt = 1u << 6;
}
// 058h TLB_CONTROL (byte at 05Ch).
enum class TlbControl : u8 { none = 0, all = 1, this_asid = 3, this_asid_non_global = 7 };
// 060h.
namespace vintr {
inline constexpr u64 v_tpr = mask_bits(7, 0), v_irq = bit(8), vgif = bit(9), v_nmi = bit(11),
                     v_nmi_mask = bit(12), prio = mask_bits(19, 16), ign_tpr = bit(20),
                     v_intr_masking = bit(24), vgif_enable = bit(25), v_nmi_enable = bit(26),
                     x2avic = bit(30), avic = bit(31), vector = mask_bits(39, 32);
}
// VMSA 3B8h: the bits of 060h that are the guest's under alternate injection, and two of its own.
namespace vintr_ctrl {
inline constexpr u64 v_tpr = vintr::v_tpr, v_irq = vintr::v_irq, vgif = vintr::vgif,
                     int_shadow = bit(10), prio = vintr::prio, ign_tpr = vintr::ign_tpr,
                     vector = vintr::vector, busy = bit(63);
}
// 068h.
namespace interrupt_state {
inline constexpr u64 shadow = bit(0), guest_interrupt_mask = bit(1);
}
// 090h.
namespace np_and_sev {
inline constexpr u64 np_enable = bit(0), sev = bit(1), sev_es = bit(2), gmet = bit(3),
                     sss_check = bit(4), vte = bit(5), read_only_guest_page_tables = bit(6),
                     invlpgb = bit(7);
}
// 0B8h.
namespace lbr_and_virt {
inline constexpr u64 lbr_virtualization = bit(0), virtual_vmload_vmsave = bit(1);
}
// EVENTINJ and EXITINTINFO (hardware sheet 8.2).
namespace event {
inline constexpr u64 vector = mask_bits(7, 0), type = mask_bits(10, 8), error_valid = bit(11),
                     valid = bit(31), error = mask_bits(63, 32);
enum class Type : u8 { interrupt = 0, nmi = 2, exception = 3, software = 4 };
constexpr u64 make(u8 vec, Type kind, bool with_error = false, u32 error_code = 0) {
  return vec | (static_cast<u64>(kind) << 8) | (with_error ? error_valid : 0) | valid |
         (static_cast<u64>(error_code) << 32);
}
}  // namespace event

}  // namespace softsnp::svm

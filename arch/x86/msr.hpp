// Model-specific registers by number. APM2 appendix A. Freestanding.
#pragma once

#include "base/types.hpp"

namespace softsnp::x86::msr {

inline constexpr u32 tsc = 0x10, apic_base = 0x1B, patch_level = 0x8B, mtrr_cap = 0xFE,
                     sysenter_cs = 0x174, sysenter_esp = 0x175, sysenter_eip = 0x176,
                     mcg_cap = 0x179, mcg_status = 0x17A, mcg_ctl = 0x17B, debug_ctl = 0x1D9,
                     mtrr_phys_base0 = 0x200, mtrr_phys_mask7 = 0x20F, mtrr_fix_64k = 0x250,
                     mtrr_fix_16k_80000 = 0x258, mtrr_fix_16k_a0000 = 0x259,
                     mtrr_fix_4k_first = 0x268, mtrr_fix_4k_last = 0x26F, pat = 0x277,
                     mtrr_def_type = 0x2FF, tsc_deadline = 0x6E0, x2apic_first = 0x800,
                     x2apic_last = 0x8FF, xss = 0xDA0;
inline constexpr u32 kvm_wall_clock = 0x11, kvm_system_time = 0x12, kvm_wall_clock_new = 0x4B564D00,
                     kvm_system_time_new = 0x4B564D01, kvm_migration_control = 0x4B564D08;
inline constexpr u32 efer = 0xC0000080, star = 0xC0000081, lstar = 0xC0000082, cstar = 0xC0000083,
                     sfmask = 0xC0000084, fs_base = 0xC0000100, gs_base = 0xC0000101,
                     kernel_gs_base = 0xC0000102, tsc_aux = 0xC0000103, tsc_ratio = 0xC0000104;
inline constexpr u32 perf_ctl0 = 0xC0010000, syscfg = 0xC0010010, hwcr = 0xC0010015,
                     top_mem = 0xC001001A, top_mem2 = 0xC001001D, nb_cfg = 0xC001001F,
                     vm_cr = 0xC0010114, vm_hsave_pa = 0xC0010117, vmpage_flush = 0xC001011E,
                     ghcb = 0xC0010130, sev_status = 0xC0010131, rmp_base = 0xC0010132,
                     rmp_end = 0xC0010133, guest_tsc_freq = 0xC0010134, virtual_tom = 0xC0010135,
                     segmented_rmp_cfg = 0xC0010136, ls_cfg = 0xC0011020, fp_cfg = 0xC0011028,
                     de_cfg = 0xC0011029;

// SYSCFG bits (hardware sheet 1.2).
namespace syscfg_bits {
inline constexpr u64 mtrr_fix_dram_mod_en = u64{1} << 19, mem_encryption_mod_en = u64{1} << 23,
                     secure_nested_paging_en = u64{1} << 24, vmpl_en = u64{1} << 25;
}

}  // namespace softsnp::x86::msr

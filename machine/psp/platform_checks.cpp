#include "machine/psp/platform_checks.hpp"

#include "arch/x86/msr.hpp"
#include "base/bits.hpp"

namespace softsnp::psp {

namespace {

namespace msr = x86::msr;

constexpr u32 smm_address = 0xC0010112, smm_mask = 0xC0010113, iorr_first = 0xC0010016,
              iorr_last = 0xC0010019, core_mode = 0xC0011006;
constexpr u64 core_mode_busy = bit(2) | bit(7);  // in SMM or guest mode
constexpr u64 one_mib = u64{1} << 20;
constexpr u64 c_bit_mask = bit(51);

// Registers that must hold the same on all cores.
struct MsrRange {
  u32 first;
  u32 last;
};
constexpr MsrRange equal_everywhere[] = {
    {msr::mtrr_fix_64k, msr::mtrr_fix_64k},
    {msr::mtrr_fix_16k_80000, msr::mtrr_fix_16k_a0000},
    {msr::mtrr_fix_4k_first, msr::mtrr_fix_4k_last},
    {iorr_first, iorr_last},
    {msr::top_mem, msr::top_mem},
    {msr::top_mem2, msr::top_mem2},
    {smm_address, smm_mask},
    {msr::rmp_base, msr::rmp_end},
};

bool same_on_all_cores(const PlatformView& platform) {
  for (const MsrRange& range : equal_everywhere) {
    for (u32 number = range.first; number <= range.last; ++number) {
      for (unsigned core = 1; core < platform.core_count(); ++core) {
        if (platform.msr(core, number) != platform.msr(0, number)) {
          return false;
        }
      }
    }
  }
  return true;
}

const char* core_problem(const PlatformView& platform, unsigned core) {
  constexpr u64 required = msr::syscfg_bits::mtrr_fix_dram_mod_en |
                           msr::syscfg_bits::mem_encryption_mod_en |
                           msr::syscfg_bits::secure_nested_paging_en | msr::syscfg_bits::vmpl_en;
  if ((platform.msr(core, msr::syscfg) & required) != required) {
    return "SYSCFG lacks MtrrFixDramModEn, MemEncryptionModEn, SNPEn or VMPLEn on a core";
  }
  if (!has_bit(platform.msr(core, msr::hwcr), 0)) {
    return "HWCR.SMMLOCK is clear on a core";
  }
  if ((platform.msr(core, core_mode) & core_mode_busy) != 0) {
    return "a core is in SMM or guest mode";
  }
  return nullptr;
}

ConfigCheck check_rmp_range(const PlatformView& platform) {
  const u64 base = platform.msr(0, msr::rmp_base);
  const u64 end = platform.msr(0, msr::rmp_end);
  if (((base | end) & c_bit_mask) != 0) {
    return {Status::unsupported, "the C-bit is set in RMP_BASE or RMP_END"};
  }
  if (base >= end || !is_aligned(base, one_mib) || !is_aligned(end + 1, one_mib)) {
    return {Status::invalid_config, "RMP_BASE or the RMP's size is not a multiple of 1 MiB"};
  }
  return {};
}

}  // namespace

ConfigCheck check_platform_config(const PlatformView& platform, bool initialise_rmp) {
  for (unsigned core = 0; core < platform.core_count(); ++core) {
    if (const char* problem = core_problem(platform, core); problem != nullptr) {
      return {Status::invalid_config, problem};
    }
  }
  if (!same_on_all_cores(platform)) {
    return {Status::invalid_config, "MTRR, IORR, TOP_MEM, SMM or RMP registers differ"};
  }
  if (const ConfigCheck range = check_rmp_range(platform); range.status != Status::success) {
    return range;
  }
  for (unsigned core = 0; initialise_rmp && core < platform.core_count(); ++core) {
    if (platform.msr(core, msr::vm_hsave_pa) != 0) {
      return {Status::invalid_config, "VM_HSAVE_PA is not zero on a core"};
    }
  }
  return {};
}

SmmRanges smm_ranges(const PlatformView& platform) {
  // SMM_ADDR and SMM_MASK, bits 47:17; in the mask bit 0 AValid, bit 1 TValid (APM2 appendix A).
  const u64 mask = platform.msr(0, smm_mask);
  SmmRanges ranges;
  if (has_bit(mask, 0)) {
    ranges.aseg = {SystemPhysical(0xA0000), 0x20000};
  }
  const u64 significant = mask & mask_bits(47, 17);
  if (has_bit(mask, 1) && significant != 0) {
    ranges.tseg = {SystemPhysical(platform.msr(0, smm_address) & significant),
                   significant & (~significant + 1)};
  }
  return ranges;
}

}  // namespace softsnp::psp

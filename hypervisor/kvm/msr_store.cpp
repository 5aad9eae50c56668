#include "hypervisor/kvm/msr_store.hpp"

#include "arch/x86/msr.hpp"
#include "base/bits.hpp"

namespace softsnp::kvm {
namespace msr = x86::msr;
namespace {

constexpr u64 mtrr_capabilities = 0x508;  // 8 variable ranges, fixed ranges, WC
constexpr u64 patch_level = 0x01000065;   // what KVM shows on AMD
constexpr u64 hwcr_frequency_select = bit(24);
constexpr u32 mca_first = 0x400, mca_last = 0x427;
constexpr u32 dc_cfg = 0xC0011022, bu_cfg2 = 0xC001102A, patch_loader = 0xC0010020,
              misc_enable = 0x1A0, hwcr_ignored_bits = 0x40000148;

bool is_memory_type(u64 type) {
  return type < 8 && type != 2 && type != 3 && type != 7;
}
bool all_memory_types(u64 value) {
  for (unsigned i = 0; i < 8; ++i) {
    if (!is_memory_type(get_bits(value, 8 * i + 7, 8 * i))) {
      return false;
    }
  }
  return true;
}

}  // namespace

u64* MsrStore::mtrr(u32 number) {
  if (number >= msr::mtrr_phys_base0 && number <= msr::mtrr_phys_mask7) {
    return &mtrr_variable_[number - msr::mtrr_phys_base0];
  }
  switch (number) {
    case msr::mtrr_fix_64k:
      return mtrr_fixed_.data();
    case msr::mtrr_fix_16k_80000:
      return &mtrr_fixed_[1];
    case msr::mtrr_fix_16k_a0000:
      return &mtrr_fixed_[2];
    case msr::mtrr_def_type:
      return &mtrr_default_;
    default:
      break;
  }
  if (number >= msr::mtrr_fix_4k_first && number <= msr::mtrr_fix_4k_last) {
    return &mtrr_fixed_[3 + number - msr::mtrr_fix_4k_first];
  }
  return nullptr;
}

std::optional<u64> MsrStore::read(u32 number) const {
  if (const u64* range = const_cast<MsrStore*>(this)->mtrr(number)) {
    return *range;
  }
  if (number >= mca_first && number <= mca_last) {
    return 0;
  }
  switch (number) {
    case msr::mtrr_cap:
      return mtrr_capabilities;
    case msr::patch_level:
      return patch_level;
    case msr::mcg_cap:
    case msr::mcg_status:
    case msr::mcg_ctl:
    case msr::debug_ctl:
    case msr::syscfg:
    case msr::vm_cr:
    case msr::vm_hsave_pa:
    case msr::top_mem:
    case msr::top_mem2:
    case dc_cfg:
    case bu_cfg2:
    case patch_loader:
      return 0;
    case misc_enable:
      return 1;
    case msr::hwcr:
      return hwcr_;
    case msr::nb_cfg:
      return nb_cfg_;
    case msr::de_cfg:
      return de_cfg_;
    case msr::kvm_system_time:
    case msr::kvm_system_time_new:
      return system_time;
    case msr::kvm_wall_clock:
    case msr::kvm_wall_clock_new:
      return wall_clock;
    default:
      return std::nullopt;
  }
}

bool MsrStore::write(u32 number, u64 value) {
  if (u64* range = mtrr(number)) {
    const bool is_fixed = range >= mtrr_fixed_.data() && range < mtrr_fixed_.data() + 11;
    if (is_fixed && !all_memory_types(value)) {
      return false;
    }
    if (number == msr::mtrr_def_type &&
        ((value & ~u64{0xCFF}) != 0 || !is_memory_type(value & 0xFF))) {
      return false;
    }
    *range = value;
    return true;
  }
  if (number >= mca_first && number <= mca_last) {
    return value == 0 || value == ~u64{0};
  }
  switch (number) {
    case msr::mcg_status:
    case msr::debug_ctl:
      return value == 0;
    case msr::syscfg:
    case msr::patch_level:
    case msr::vm_hsave_pa:
    case msr::top_mem:
    case msr::top_mem2:
    case dc_cfg:
    case bu_cfg2:
    case patch_loader:
    case misc_enable:
      return true;
    case msr::hwcr:
      // As KVM: a few bits are accepted and forgotten, McStatusWrEn and TscFreqSel are kept.
      value &= ~u64{hwcr_ignored_bits};
      if ((value & ~(bit(18) | hwcr_frequency_select)) != 0) {
        return false;
      }
      hwcr_ = value;
      return true;
    case msr::nb_cfg:
      nb_cfg_ = value;
      return true;
    case msr::de_cfg:
      if ((value & ~u64{2}) != 0) {
        return false;
      }
      de_cfg_ = value;
      return true;
    default:
      return false;
  }
}

}  // namespace softsnp::kvm

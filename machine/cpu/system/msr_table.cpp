#include "machine/cpu/system/msr_table.hpp"

#include "machine/cpu/system/paging_mode.hpp"
#include "machine/cpu/system/segments.hpp"

namespace softsnp::cpu {
namespace {

namespace m = x86::msr;
using S = System;

// Plain storage in the core's state.
template <u64 CoreState::*Field>
bool read_field(S& s, u32, u64& value) {
  value = s.state().*Field;
  return true;
}
template <u64 CoreState::*Field>
bool write_field(S& s, u32, u64 value) {
  s.state().*Field = value;
  return true;
}
template <u64 CoreState::*Field>
bool write_canonical(S& s, u32 n, u64 value) {
  return is_canonical(value) && write_field<Field>(s, n, value);
}
template <u64 CoreState::*Field>
bool write_low32(S& s, u32, u64 value) {
  s.state().*Field = static_cast<u32>(value);
  return true;
}
// XSS: no supervisor state component exists.
bool write_zero(S&, u32, u64 value) {
  return value == 0;
}

template <u64 SharedMsrs::*Field>
bool read_shared(S& s, u32, u64& value) {
  value = s.platform().shared_msrs().*Field;
  return true;
}
template <u64 SharedMsrs::*Field>
bool write_shared(S& s, u32, u64 value) {
  s.platform().shared_msrs().*Field = value;
  return true;
}

template <u64 CoreMsrs::*Field>
bool read_core(S& s, u32, u64& value) {
  value = s.msrs().*Field;
  return true;
}
template <u64 CoreMsrs::*Field>
bool write_core(S& s, u32, u64 value) {
  s.msrs().*Field = value;
  return true;
}

template <u64 Value>
bool read_constant(S&, u32, u64& value) {
  value = Value;
  return true;
}
bool write_ignored(S&, u32, u64) {
  return true;
}

// After SNP is on these are locked (hardware sheet 1.2).
bool snp_enabled(S& s) {
  return (s.platform().shared_msrs().syscfg & m::syscfg_bits::secure_nested_paging_en) != 0;
}

bool read_tsc(S& s, u32, u64& value) {
  value = s.guest_tsc();
  return true;
}
bool write_tsc(S& s, u32, u64 value) {
  s.msrs().tsc_offset += value - s.guest_tsc();
  return true;
}

bool write_pat(S& s, u32, u64 value) {
  for (unsigned i = 0; i < 8; ++i) {
    const u64 type = (value >> (8 * i)) & 0xFF;
    if (type > 7 || type == 2 || type == 3) {
      return false;
    }
  }
  s.state().pat = value;
  return true;
}

// APM2 3.1.7. Of LMA the written value does not matter; SVME is not a SEV-ES guest's to change
// (hardware sheet 7.4).
bool write_efer(S& s, u32, u64 value) {
  CoreState& state = s.state();
  const bool paging = (state.cr0 & x86::cr0::pg) != 0;
  if ((value & ~efer_supported) != 0 || (paging && ((value ^ state.efer) & x86::efer::lme) != 0)) {
    return false;
  }
  u64 kept = x86::efer::lma;
  if (s.controls().guest && s.controls().sev_es) {
    kept |= x86::efer::svme;
  }
  const u64 next = (state.efer & kept) | (value & ~kept);
  constexpr u64 vm_cr_svmdis = bit(4);
  if ((next & ~state.efer & x86::efer::svme) != 0 && (s.msrs().vm_cr & vm_cr_svmdis) != 0) {
    return false;
  }
  const bool flush = ((next ^ state.efer) & x86::efer::nxe) != 0;
  state.efer = next;
  if (flush) {
    s.mmu().flush_all(s.core());
  }
  s.mode_changed();
  return true;
}

template <x86::Segment Which>
bool read_base(S& s, u32, u64& value) {
  value = s.state().seg[static_cast<unsigned>(Which)].base;
  return true;
}
template <x86::Segment Which>
bool write_base(S& s, u32, u64 value) {
  if (!is_canonical(value)) {
    return false;
  }
  s.state().seg[static_cast<unsigned>(Which)].base = value;
  s.mode_changed();
  return true;
}

bool read_mtrr_variable(S& s, u32 n, u64& value) {
  value = s.platform().shared_msrs().mtrr_variable[n - m::mtrr_phys_base0];
  return true;
}
bool write_mtrr_variable(S& s, u32 n, u64 value) {
  const u64 defined = (n & 1) == 0 ? mask_bits(physical_bits - 1, 12) | 0xFF
                                   : mask_bits(physical_bits - 1, 12) | bit(11);
  if ((value & ~defined) != 0) {
    return false;
  }
  s.platform().shared_msrs().mtrr_variable[n - m::mtrr_phys_base0] = value;
  return true;
}
unsigned fixed_index(u32 n) {
  return n == m::mtrr_fix_64k         ? 0
         : n <= m::mtrr_fix_16k_a0000 ? n - m::mtrr_fix_16k_80000 + 1
                                      : n - m::mtrr_fix_4k_first + 3;
}
bool read_mtrr_fixed(S& s, u32 n, u64& value) {
  value = s.platform().shared_msrs().mtrr_fixed[fixed_index(n)];
  return true;
}
bool write_mtrr_fixed(S& s, u32 n, u64 value) {
  if (snp_enabled(s)) {
    return false;
  }
  s.platform().shared_msrs().mtrr_fixed[fixed_index(n)] = value;
  return true;
}
bool write_def_type(S& s, u32 n, u64 value) {
  constexpr u64 defined = 0xCFF;
  return (value & ~defined) == 0 && write_shared<&SharedMsrs::mtrr_def_type>(s, n, value);
}
template <u64 SharedMsrs::*Field>
bool write_before_snp(S& s, u32 n, u64 value) {
  return !snp_enabled(s) && write_shared<Field>(s, n, value);
}

// Bits 23 and 24 can only be set; once 24 is, every write is ignored (hardware sheet 1.2).
bool write_syscfg(S& s, u32, u64 value) {
  if (snp_enabled(s)) {
    return true;
  }
  SharedMsrs& shared = s.platform().shared_msrs();
  const u64 sticky = m::syscfg_bits::mem_encryption_mod_en;
  shared.syscfg = value | (shared.syscfg & sticky);
  if (snp_enabled(s)) {
    s.mmu().rmp().set_enabled(true);
    s.mmu().flush_all(s.core());
  }
  return true;
}
bool write_hwcr(S& s, u32, u64 value) {
  u64& hwcr = s.platform().shared_msrs().hwcr;
  hwcr = value | (hwcr & 1);  // SmmLock stays
  return true;
}
// Hardware sheet 1.4: 8 KiB alignment of RMP_BASE and RMP_END + 1.
bool write_rmp_range(S& s, u32 n, u64 value) {
  constexpr u64 alignment = 0x2000;
  const bool is_base = n == m::rmp_base;
  if (snp_enabled(s) || !is_aligned(is_base ? value : value + 1, alignment) ||
      (value >> physical_bits) != 0) {
    return false;
  }
  SharedMsrs& shared = s.platform().shared_msrs();
  (is_base ? shared.rmp_base : shared.rmp_end) = value;
  s.mmu().rmp().set_range(SystemPhysical(shared.rmp_base), SystemPhysical(shared.rmp_end));
  return true;
}
bool write_hsave(S& s, u32, u64 value) {
  const SystemPhysical page(value);
  if (!page.is_page_aligned() || (value >> physical_bits) != 0) {
    return false;
  }
  if (value != 0 && snp_enabled(s) && s.mmu().rmp().check_host_page(page) != memory::Rule::none) {
    return false;
  }
  s.msrs().vm_hsave_pa = value;
  return true;
}
bool write_vm_cr(S& s, u32, u64 value) {
  constexpr u64 lock = bit(3);
  constexpr u64 svmdis = bit(4);
  u64& vm_cr = s.msrs().vm_cr;
  if ((value & ~mask_bits(4, 0)) != 0) {
    return false;
  }
  const u64 kept = (vm_cr & lock) != 0 ? lock | svmdis : 0;
  vm_cr = (vm_cr & kept) | (value & ~kept);
  return true;
}
// Coherent across encryption domains (CPUID Fn8000_001F_EAX[10]): nothing to flush.
bool write_vmpage_flush(S&, u32, u64 value) {
  return (value & page_offset_mask) != 0 && is_canonical(value);
}
bool write_apic_base(S& s, u32 n, u64 value) {
  constexpr u64 defined = mask_bits(physical_bits - 1, 12) | bit(11) | bit(10) | bit(8);
  return (value & ~defined) == 0 && write_core<&CoreMsrs::apic_base>(s, n, value);
}

bool read_ghcb(S& s, u32, u64& value) {
  value = s.controls().ghcb;
  return s.controls().sev_es;
}
bool write_ghcb(S& s, u32, u64 value) {
  if (!s.controls().sev_es) {
    return false;
  }
  s.controls().ghcb = value;
  return true;
}
// Hardware sheet 1.3; 0 on the host.
bool read_sev_status(S& s, u32, u64& value) {
  const Controls& c = s.controls();
  const GuestContext& guest = s.mmu().guest();
  value = 0;
  if (c.guest) {
    value = (guest.sev ? snp::sev_status::sev : 0) | (c.sev_es ? snp::sev_status::sev_es : 0) |
            (c.sev_features << snp::sev_status::feature_shift);
  }
  return true;
}
bool read_tsc_frequency(S& s, u32, u64& value) {
  value = s.platform().tsc_frequency_hz() / 1'000'000;
  return s.controls().feature(snp::feature::secure_tsc);
}
bool read_virtual_tom(S& s, u32, u64& value) {
  value = s.mmu().guest().virtual_tom;
  return s.controls().feature(snp::feature::vtom);
}
bool write_virtual_tom(S& s, u32, u64 value) {
  if (!s.controls().feature(snp::feature::vtom)) {
    return false;
  }
  s.mmu().guest().virtual_tom = value & mask_bits(51, 21);
  s.mmu().flush_all(s.core());
  s.mode_changed();
  return true;
}

constexpr MsrScope any = MsrScope::any;

constexpr MsrRow rows[] = {
    {m::tsc, m::tsc, "TSC", any, read_tsc, write_tsc},
    {m::apic_base, m::apic_base, "APIC_BASE", any, read_core<&CoreMsrs::apic_base>,
     write_apic_base},
    {m::patch_level, m::patch_level, "PATCH_LEVEL", any, read_constant<0x0A101148>, nullptr},
    {m::mtrr_cap, m::mtrr_cap, "MTRRcap", any, read_constant<0x508>, nullptr},
    {m::sysenter_cs, m::sysenter_cs, "SYSENTER_CS", any, read_field<&CoreState::sysenter_cs>,
     write_field<&CoreState::sysenter_cs>},
    {m::sysenter_esp, m::sysenter_esp, "SYSENTER_ESP", any, read_field<&CoreState::sysenter_esp>,
     write_low32<&CoreState::sysenter_esp>},
    {m::sysenter_eip, m::sysenter_eip, "SYSENTER_EIP", any, read_field<&CoreState::sysenter_eip>,
     write_low32<&CoreState::sysenter_eip>},
    {m::mcg_cap, m::mcg_cap, "MCG_CAP", any, read_constant<0>, nullptr},
    {m::mcg_status, m::mcg_status, "MCG_STATUS", any, read_core<&CoreMsrs::mcg_status>,
     write_core<&CoreMsrs::mcg_status>},
    {m::debug_ctl, m::debug_ctl, "DBGCTL", any, read_field<&CoreState::debug_ctl>,
     write_field<&CoreState::debug_ctl>},
    {m::mtrr_phys_base0, m::mtrr_phys_mask7, "MTRRphys", any, read_mtrr_variable,
     write_mtrr_variable},
    {m::mtrr_fix_64k, m::mtrr_fix_64k, "MTRRfix64K", any, read_mtrr_fixed, write_mtrr_fixed},
    {m::mtrr_fix_16k_80000, m::mtrr_fix_16k_a0000, "MTRRfix16K", any, read_mtrr_fixed,
     write_mtrr_fixed},
    {m::mtrr_fix_4k_first, m::mtrr_fix_4k_last, "MTRRfix4K", any, read_mtrr_fixed,
     write_mtrr_fixed},
    {m::pat, m::pat, "PAT", any, read_field<&CoreState::pat>, write_pat},
    {m::mtrr_def_type, m::mtrr_def_type, "MTRRdefType", any,
     read_shared<&SharedMsrs::mtrr_def_type>, write_def_type},
    {m::xss, m::xss, "XSS", any, read_field<&CoreState::xss>, write_zero},
    {m::efer, m::efer, "EFER", any, read_field<&CoreState::efer>, write_efer},
    {m::star, m::star, "STAR", any, read_field<&CoreState::star>, write_field<&CoreState::star>},
    {m::lstar, m::lstar, "LSTAR", any, read_field<&CoreState::lstar>,
     write_canonical<&CoreState::lstar>},
    {m::cstar, m::cstar, "CSTAR", any, read_field<&CoreState::cstar>,
     write_canonical<&CoreState::cstar>},
    {m::sfmask, m::sfmask, "SFMASK", any, read_field<&CoreState::sfmask>,
     write_low32<&CoreState::sfmask>},
    {m::fs_base, m::fs_base, "FS.Base", any, read_base<x86::Segment::fs>,
     write_base<x86::Segment::fs>},
    {m::gs_base, m::gs_base, "GS.Base", any, read_base<x86::Segment::gs>,
     write_base<x86::Segment::gs>},
    {m::kernel_gs_base, m::kernel_gs_base, "KernelGSbase", any,
     read_field<&CoreState::kernel_gs_base>, write_canonical<&CoreState::kernel_gs_base>},
    {m::tsc_aux, m::tsc_aux, "TSC_AUX", any, read_field<&CoreState::tsc_aux>,
     write_low32<&CoreState::tsc_aux>},
    {m::tsc_ratio, m::tsc_ratio, "TSC_RATIO", MsrScope::host, read_core<&CoreMsrs::tsc_ratio>,
     write_core<&CoreMsrs::tsc_ratio>},
    {m::syscfg, m::syscfg, "SYSCFG", any, read_shared<&SharedMsrs::syscfg>, write_syscfg},
    {m::hwcr, m::hwcr, "HWCR", any, read_shared<&SharedMsrs::hwcr>, write_hwcr},
    {m::top_mem, m::top_mem, "TOP_MEM", any, read_shared<&SharedMsrs::top_mem>,
     write_before_snp<&SharedMsrs::top_mem>},
    {m::top_mem2, m::top_mem2, "TOP_MEM2", any, read_shared<&SharedMsrs::top_mem2>,
     write_before_snp<&SharedMsrs::top_mem2>},
    {m::nb_cfg, m::nb_cfg, "NB_CFG", any, read_shared<&SharedMsrs::nb_cfg>,
     write_shared<&SharedMsrs::nb_cfg>},
    {m::vm_cr, m::vm_cr, "VM_CR", any, read_core<&CoreMsrs::vm_cr>, write_vm_cr},
    {m::vm_hsave_pa, m::vm_hsave_pa, "VM_HSAVE_PA", MsrScope::host,
     read_core<&CoreMsrs::vm_hsave_pa>, write_hsave},
    {m::vmpage_flush, m::vmpage_flush, "VMPAGE_FLUSH", MsrScope::host, nullptr, write_vmpage_flush},
    {m::ghcb, m::ghcb, "GHCB", MsrScope::guest, read_ghcb, write_ghcb},
    {m::sev_status, m::sev_status, "SEV_STATUS", any, read_sev_status, nullptr},
    {m::rmp_base, m::rmp_base, "RMP_BASE", any, read_shared<&SharedMsrs::rmp_base>,
     write_rmp_range},
    {m::rmp_end, m::rmp_end, "RMP_END", any, read_shared<&SharedMsrs::rmp_end>, write_rmp_range},
    {m::guest_tsc_freq, m::guest_tsc_freq, "GUEST_TSC_FREQ", MsrScope::guest, read_tsc_frequency,
     nullptr},
    {m::virtual_tom, m::virtual_tom, "VIRTUAL_TOM", MsrScope::guest, read_virtual_tom,
     write_virtual_tom},
    {m::ls_cfg, m::ls_cfg, "LS_CFG", any, read_constant<0>, write_ignored},
    {m::de_cfg, m::de_cfg, "DE_CFG", any, read_shared<&SharedMsrs::de_cfg>,
     write_shared<&SharedMsrs::de_cfg>},
};

constexpr bool rows_ascend() {
  u32 last = 0;
  for (const MsrRow& row : rows) {
    if (row.first <= last || row.last < row.first) {
      return false;
    }
    last = row.last;
  }
  return true;
}
static_assert(rows_ascend());

}  // namespace

const MsrRow* find_msr(u32 number) {
  for (const MsrRow& row : rows) {
    if (number >= row.first && number <= row.last) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace softsnp::cpu

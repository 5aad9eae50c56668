#include "hypervisor/host/platform.hpp"

#include <cerrno>

#include "arch/psp/platform_buffers.hpp"
#include "arch/psp/sev_buffers.hpp"
#include "arch/x86/msr.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/host/rmp_area.hpp"

namespace softsnp::host {
namespace msr = x86::msr;

namespace {
constexpr u64 hwcr_smm_lock = bit(0);
constexpr u32 cpuid_sev = 0x8000001F;
constexpr u32 sev_es_and_snp = (1u << 1) | (1u << 3) | (1u << 4);
}  // namespace

Result<void, Error> Platform::write_msr(unsigned core, u32 number, u64 value) {
  if (!memory_.port().wrmsr(core, number, value)) {
    return Failure{Error{EIO, 0, "a write of MSR " + std::to_string(number) + " faulted"}};
  }
  return {};
}

Result<void, Error> Platform::set_msr_bits(u32 number, u64 bits) {
  for (unsigned core = 0; core < memory_.port().core_count(); ++core) {
    const auto old = memory_.port().rdmsr(core, number);
    if (!old) {
      return Failure{Error{EIO, 0, "a read of MSR " + std::to_string(number) + " faulted"}};
    }
    if ((*old & bits) == bits) {
      continue;
    }
    if (auto written = write_msr(core, number, *old | bits); !written) {
      return written;
    }
  }
  return {};
}

Result<void, Error> Platform::write_all(u32 number, u64 value) {
  for (unsigned core = 0; core < memory_.port().core_count(); ++core) {
    if (auto written = write_msr(core, number, value); !written) {
      return written;
    }
  }
  return {};
}

void Platform::wbinvd_all() {
  for (unsigned core = 0; core < memory_.port().core_count(); ++core) {
    memory_.port().wbinvd(core);
  }
}

Result<void, Error> Platform::command(psp::Command id, std::span<u8> buffer, const char* what) {
  const psp::Status status = psp_.command(id, buffer);
  if (status != psp::Status::success) {
    return Failure{Error{EIO, static_cast<u16>(status), std::string(what) + " failed"}};
  }
  return {};
}

Result<void, Error> Platform::enable_svm() {
  if (svm_enabled_) {
    return {};
  }
  if (auto set = set_msr_bits(msr::efer, x86::efer::svme); !set) {
    return set;
  }
  for (unsigned core = 0; core < memory_.port().core_count(); ++core) {
    if (host_save_areas_.size() <= core) {
      const auto page = memory_.allocate(PageSize::size_4k);
      if (!page) {
        return Failure{Error{ENOMEM, 0, "no memory for a host save area"}};
      }
      host_save_areas_.push_back(*page);
    }
    if (auto written = write_msr(core, msr::vm_hsave_pa, host_save_areas_[core].value());
        !written) {
      return written;
    }
  }
  svm_enabled_ = true;
  return {};
}

// Hardware sheet 1.5, step 1 and the first half of 4: SYSCFG[23] and SmmLock are the BIOS's part.
Result<void, Error> Platform::configure_memory_encryption() {
  if (auto set = set_msr_bits(msr::hwcr, hwcr_smm_lock); !set) {
    return set;
  }
  return set_msr_bits(msr::syscfg, msr::syscfg_bits::mem_encryption_mod_en);
}

// Steps 2 and 3: the RMP's place and its zeros.
Result<void, Error> Platform::place_rmp() {
  const RmpArea area = rmp_area(memory_.port().dram_bytes());
  if (area.size == 0) {
    return Failure{Error{ENOMEM, 0, "DRAM is too small for its RMP"}};
  }
  if (auto written = write_all(msr::rmp_base, area.base.value()); !written) {
    return written;
  }
  if (auto written = write_all(msr::rmp_end, area.base.value() + area.size - 1); !written) {
    return written;
  }
  for (u64 offset = 0; offset < area.size; offset += page_size) {
    if (!memory_.clear_page(area.base + offset)) {
      return Failure{Error{EFAULT, 0, "the RMP's memory cannot be written"}};
    }
  }
  wbinvd_all();
  return {};
}

Result<void, Error> Platform::enable_snp() {
  if (snp_enabled_) {
    return {};
  }
  if ((memory_.port().cpuid(cpuid_sev, 0).eax & sev_es_and_snp) != sev_es_and_snp) {
    return Failure{Error{ENODEV, 0, "the processor has no SEV-SNP"}};
  }
  if (auto done = configure_memory_encryption(); !done) {
    return done;
  }
  if (auto done = place_rmp(); !done) {
    return done;
  }
  if (auto done = set_msr_bits(msr::syscfg, msr::syscfg_bits::mtrr_fix_dram_mod_en); !done) {
    return done;
  }
  if (auto done = set_msr_bits(
          msr::syscfg, msr::syscfg_bits::secure_nested_paging_en | msr::syscfg_bits::vmpl_en);
      !done) {
    return done;
  }
  if (auto done = write_all(msr::vm_hsave_pa, 0); !done) {
    return done;
  }
  svm_enabled_ = false;
  wbinvd_all();
  psp::SnpInitEx init{};
  init.flags = psp::SnpInitEx::init_rmp;
  if (auto done = command(psp::Command::snp_init_ex, {reinterpret_cast<u8*>(&init), sizeof init},
                          "SNP_INIT_EX");
      !done) {
    return done;
  }
  if (auto done = flush_asids(); !done) {
    return done;
  }
  snp_enabled_ = true;
  return enable_svm();
}

// SEV-ES needs a trusted memory region of 1 MiB, aligned to its size; once the RMP is live Linux
// takes 2 MiB. Its pages are the firmware's (firmware sheet 1.4, Linux sev-dev.c).
Result<SystemPhysical, Error> Platform::allocate_tmr() {
  const auto tmr = memory_.allocate(PageSize::size_2m);
  if (!tmr) {
    return Failure{Error{ENOMEM, 0, "no memory for the firmware's trusted memory region"}};
  }
  for (u64 offset = 0; offset < large_page_size; offset += page_size) {
    if (auto given = rmp_.make_firmware(*tmr + offset); !given) {
      return Failure{given.error()};
    }
  }
  return *tmr;
}

Result<void, Error> Platform::enable_sev() {
  if (auto snp = enable_snp(); !snp || sev_enabled_) {
    return snp;
  }
  const auto tmr = allocate_tmr();
  if (!tmr) {
    return Failure{tmr.error()};
  }
  psp::SevInit init{};
  init.flags = psp::SevInit::es;
  init.tmr_paddr = tmr->value();
  init.tmr_len = static_cast<u32>(large_page_size);
  if (auto done = command(psp::Command::init, {reinterpret_cast<u8*>(&init), sizeof init}, "INIT");
      !done) {
    return done;
  }
  wbinvd_all();
  if (auto done = command(psp::Command::df_flush, {}, "DF_FLUSH"); !done) {
    return done;
  }
  sev_enabled_ = true;
  return {};
}

Result<void, Error> Platform::flush_asids() {
  wbinvd_all();
  return command(psp::Command::snp_df_flush, {}, "SNP_DF_FLUSH");
}

}  // namespace softsnp::host

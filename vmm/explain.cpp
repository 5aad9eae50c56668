#include "vmm/explain.hpp"

#include <fmt/format.h>

#include "arch/ghcb/termination.hpp"
#include "arch/snp/features.hpp"

namespace softsnp::vmm {
namespace {

struct Reason {
  u64 set;
  u64 code;
  const char* name;
};

// GHCB sheet 2.3; set 0 is the specification's, set 1 belongs to Linux. OVMF's reset vector uses
// 1:1 and 1:2 as well, hence the two names.
constexpr Reason reasons[] = {
    {0, 0, "general termination request (any fatal #VC of Linux, among others)"},
    {0, 1, "GHCB protocol version range not supported"},
    {0, 2, "SNP features not sufficient"},
    {1, 0, "GHCB registration failed"},
    {1, 1, "page state change failed (OVMF reset vector: #VC was not CPUID)"},
    {1, 2, "PVALIDATE failed (OVMF reset vector: unexpected GHCB MSR response)"},
    {1, 3, "not at VMPL0 and no usable SVSM"},
    {1, 4, "CPUID page unusable"},
    {1, 5, "CPUID fallback to the hypervisor failed"},
    {1, 6, "secrets page unusable"},
    {1, 7, "VMPL > 0 but no SVSM in the secrets page"},
    {1, 8, "SVSM present but claims guest VMPL 0"},
    {1, 9, "SVSM calling area not page aligned"},
    {1, 10, "Secure TSC set-up failed"},
    {1, 11, "SVSM calling area remap failed"},
    {1, 12, "Secure AVIC set-up failed"},
};

// Linux says with 0:2 which bits of SEV_STATUS it does not support (GHCB sheet 3.4).
std::string feature_names(const kvm::TerminationExit& exit) {
  if (exit.reason_set != 0 || exit.reason_code != 2) {
    return {};
  }
  std::string names;
  for (unsigned i = snp::sev_status::feature_shift; i < 64; ++i) {
    if (has_bit(exit.extra, i)) {
      names += names.empty() ? " (SEV_STATUS: " : ", ";
      names += snp::feature_name(i - snp::sev_status::feature_shift);
    }
  }
  return names.empty() ? names : names + ")";
}

const char* set_name(u64 set) {
  return set == 0                         ? "GHCB specification"
         : set == 1                       ? "Linux"
         : set == ghcb::guest_runtime_set ? "softsnp guest runtime"
                                          : "unknown set";
}

const char* reason_name(u64 set, u64 code) {
  for (const Reason& reason : reasons) {
    if (reason.set == set && reason.code == code) {
      return reason.name;
    }
  }
  return set == ghcb::guest_runtime_set ? ghcb::name(ghcb::TerminationReason{set, code})
                                        : "unknown reason";
}

}  // namespace

std::string termination_text(const kvm::TerminationExit& exit) {
  std::string text = fmt::format("the guest asked for termination: reason set {} ({}), code {}: {}",
                                 exit.reason_set, set_name(exit.reason_set), exit.reason_code,
                                 reason_name(exit.reason_set, exit.reason_code));
  if (exit.extra != 0) {
    text += fmt::format("; EXITINFO2 {:#x}", exit.extra);
    text += feature_names(exit);
  }
  return text;
}

std::string register_text(const svm::Vmsa& state) {
  // CR0, CR4 and EFER show through the write traps even of an encrypted guest (hardware sheet 7.1).
  if (state.rip == 0 && state.cr3 == 0) {
    return "registers are encrypted: the hypervisor sees none";
  }
  std::string text = fmt::format("rip {:#x} rflags {:#x} cs {:#x}", u64{state.rip},
                                 u64{state.rflags}, u16{state.cs.selector});
  text += fmt::format(
      "\n  rax {:#x} rbx {:#x} rcx {:#x} rdx {:#x}\n  rsi {:#x} rdi {:#x} rbp {:#x} "
      "rsp {:#x}",
      u64{state.rax}, u64{state.rbx}, u64{state.rcx}, u64{state.rdx}, u64{state.rsi},
      u64{state.rdi}, u64{state.rbp}, u64{state.rsp});
  text += fmt::format("\n  cr0 {:#x} cr2 {:#x} cr3 {:#x} cr4 {:#x} efer {:#x} idtr {:#x}:{:#x}",
                      u64{state.cr0}, u64{state.cr2}, u64{state.cr3}, u64{state.cr4},
                      u64{state.efer}, u64{state.idtr.base}, u32{state.idtr.limit});
  return text;
}

}  // namespace softsnp::vmm

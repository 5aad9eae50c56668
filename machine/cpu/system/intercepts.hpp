// Exit codes as bits of the VMCB, and their class in an SEV-ES guest.
// Hardware sheet 7.1, 8.3, 8.4 (APM2 table 15-33, appendices B and C).
#pragma once

#include "arch/svm/exit_code.hpp"
#include "arch/svm/vmcb.hpp"
#include "base/bytes.hpp"

namespace softsnp::cpu {

// Codes below C0h are numbered like the intercept bits of VMCB 000h-017h, 32 a word.
inline constexpr u64 intercept_vector_codes = 0xC0;

inline bool intercept_bit(const svm::Vmcb& vmcb, svm::ExitCode code) {
  const u64 n = svm::number(code);
  return n < intercept_vector_codes &&
         ((load_le<u32>(vmcb.raw + 4 * (n / 32)) >> (n % 32)) & 1) != 0;
}

// CPUID and IOIO: always intercepted in SEV-ES guests (hardware sheet 7.1).
constexpr bool forced_in_sev_es(svm::ExitCode code) {
  return code == svm::ExitCode::cpuid || code == svm::ExitCode::ioio;
}
// The physical events are always the host's under restricted and alternate injection (hardware
// sheet 6.4).
constexpr bool forced_by_injection_mode(svm::ExitCode code) {
  return code == svm::ExitCode::intr || code == svm::ExitCode::nmi || code == svm::ExitCode::init ||
         code == svm::ExitCode::exception_mc;
}

enum class ExitClass : u8 {
  non_automatic,        // #VC in the guest
  automatic,            // exit; RIP stays at the instruction
  automatic_completed,  // exit with RIP behind the instruction
};

// Class in an SEV-ES or SNP guest. info1: EXITINFO1 (of a nested page fault).
ExitClass exit_class(svm::ExitCode code, u64 info1);

}  // namespace softsnp::cpu

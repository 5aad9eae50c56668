// SEV_FEATURES (VMSA 3B0h), SEV_STATUS (MSR C001_0131) and the #NPF extension bits.
// Hardware sheet 1.3, 5.4 (APM2 15.34.10, 15.36.10, appendix B). Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::snp {

// CPUID 8000_001F EBX[5:0] and [11:6], 8000_0008 EAX[7:0] of this machine: C-bit position, bits
// that memory encryption takes off the host's physical address width (hardware sheet 1.1).
inline constexpr unsigned c_bit = 51;
inline constexpr unsigned physical_address_bits = 52;
inline constexpr unsigned physical_address_reduction = 6;
inline constexpr unsigned host_physical_address_bits =
    physical_address_bits - physical_address_reduction;

namespace feature {
inline constexpr u64 snp_active = bit(0), vtom = bit(1), reflect_vc = bit(2),
                     restricted_injection = bit(3), alternate_injection = bit(4),
                     debug_virtualization = bit(5), prevent_host_ibs = bit(6),
                     btb_isolation = bit(7), vmpl_sss = bit(8), secure_tsc = bit(9),
                     vmgexit_parameter = bit(10), pmc_virtualization = bit(11),
                     ibs_virtualization = bit(12), guest_intercept_ctl = bit(13),
                     vmsa_reg_prot = bit(14), smt_protection = bit(15), secure_avic = bit(16),
                     ibpb_on_entry = bit(21);
}

constexpr const char* feature_name(unsigned bit_number) {
  constexpr const char* names[] = {"SNPActive",
                                   "vTOM",
                                   "ReflectVC",
                                   "RestrictedInjection",
                                   "AlternateInjection",
                                   "DebugVirtualization",
                                   "PreventHostIBS",
                                   "BTBIsolation",
                                   "VmplSSS",
                                   "SecureTSC",
                                   "VmgexitParameter",
                                   "PmcVirtualization",
                                   "IbsVirtualization",
                                   "GuestInterceptCtl",
                                   "VmsaRegProt",
                                   "SmtProtection",
                                   "SecureAvic"};
  return bit_number < sizeof names / sizeof *names ? names[bit_number]
         : bit_number == 21                        ? "IbpbOnEntry"
                                                   : "reserved";
}

// Who may interrupt an SNP guest (hardware sheet 6.4). alternate: VMPL0 runs under restricted
// injection, and the host lets it have the interrupts of the VMPLs that it starts with alternate
// injection.
enum class InjectionMode : u8 { normal, restricted, alternate };
// SEV_FEATURES of the VMSA that is launched, VMPL0's.
constexpr u64 launch_features(InjectionMode mode) {
  return feature::snp_active | (mode == InjectionMode::normal ? 0 : feature::restricted_injection);
}

namespace sev_status {
inline constexpr u64 sev = bit(0), sev_es = bit(1), sev_snp = bit(2);
inline constexpr unsigned feature_shift = 2;
}  // namespace sev_status

namespace npf {
inline constexpr u64 rmp = bit(31), final_gpa = bit(32), page_table = bit(33), enc = bit(34),
                     sizem = bit(35), vmpl = bit(36);
}

}  // namespace softsnp::snp

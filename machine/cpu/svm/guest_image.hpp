// What VMRUN reads of a guest before anything of it takes effect, and the checks on it.
// Hardware sheet 9.1.
#pragma once

#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

struct GuestImage {
  SystemPhysical vmcb_page;
  SystemPhysical vmsa_page;
  svm::Vmcb vmcb;
  svm::Vmsa vmsa;  // SEV-ES: up to vmsa_bytes
  bool nested_paging = false;
  bool sev = false;
  bool sev_es = false;
  bool snp = false;
  u64 features = 0;
  Asid asid = Asid::host;
  u64 eventinj = 0;
  u64 vintr = 0;

  bool feature(u64 bits) const { return (features & bits) != 0; }
  bool alternate_injection() const { return feature(snp::feature::alternate_injection); }
};

// The VMSA up to the end of the state this processor has (x87 and SSE).
inline constexpr u32 vmsa_bytes = 0x570;

// Features this processor has (CPUID Fn8000_001F says the same).
inline constexpr u64 supported_features =
    snp::feature::snp_active | snp::feature::vtom | snp::feature::reflect_vc |
    snp::feature::restricted_injection | snp::feature::alternate_injection |
    snp::feature::debug_virtualization | snp::feature::prevent_host_ibs |
    snp::feature::btb_isolation | snp::feature::secure_tsc | snp::feature::vmgexit_parameter |
    snp::feature::ibpb_on_entry;

// Why VMRUN ends at once: the exit code and the row of hardware sheet 9.1 in words.
struct Refusal {
  svm::ExitCode code = svm::ExitCode::invalid;
  LastRefusal reason;
};

// Rows 2 to 12; reads the VMSA on the way. False: refusal is set.
bool read_image(System& system, SystemPhysical vmcb, GuestImage& image, Refusal& refusal);
// The save area of an SEV-ES guest without SNP has the checksum that its block names.
bool checksum_holds(Mmu& mmu, const GuestImage& image);
// Brings the block up to date with the save area in memory.
void write_checksum(Mmu& mmu, const GuestImage& image);
// Row 13 (APM2 15.5.1, canonicalization and consistency checks).
bool consistent(const CoreState& guest, Refusal& refusal);

// State between the image and a core. Loading leaves what VMRUN does not move; types of fields as
// in hardware sheet 8.1.
void load_from_vmsa(const GuestImage& image, CoreState& state);
void save_to_vmsa(const CoreState& state, bool debug_registers, svm::Vmsa& vmsa);
void load_from_vmcb(const GuestImage& image, CoreState& state);
void save_to_vmcb(const CoreState& state, bool nested_paging, svm::Vmcb& vmcb);

// The host save area at VM_HSAVE_PA + 400h.
inline constexpr u64 host_save_offset = 0x400;
inline constexpr u32 host_save_bytes = 0x400;
void save_type_a(const CoreState& state, svm::Vmsa& area);
void load_type_a(const svm::Vmsa& area, CoreState& state);
void load_type_b(const svm::Vmsa& area, CoreState& state);
void reset_type_c(CoreState& state);

}  // namespace softsnp::cpu

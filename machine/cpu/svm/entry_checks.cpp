// VMRUN's checks in the order of hardware sheet 9.1.
#include <cstring>

#include "machine/cpu/svm/guest_image.hpp"
#include "machine/cpu/system/paging_mode.hpp"

namespace softsnp::cpu {
namespace {

using svm::ExitCode;
namespace np = svm::np_and_sev;
namespace event = svm::event;

constexpr u64 c_bit_mask = bit(snp::c_bit);

bool deny(Refusal& refusal, const char* rule, u64 value = 0, u64 expected = 0,
          ExitCode code = ExitCode::invalid) {
  refusal = {code, {rule, value, expected}};
  return false;
}

// APM2 15.20: reserved types; exceptions only by their own vectors.
bool event_legal(u64 injection) {
  if ((injection & event::valid) == 0) {
    return true;
  }
  const u64 type = get_bits(injection, 10, 8);
  const u64 vector = injection & event::vector;
  if (type == static_cast<u64>(event::Type::exception)) {
    return vector < 32 && vector != static_cast<u64>(x86::Vector::nmi);
  }
  return type == 0 || type == 2 || type == 4;
}

// Row 2.
bool check_controls(const svm::Vmcb& vmcb, Refusal& refusal) {
  if ((vmcb.intercept_misc2 & svm::misc2::vmrun) == 0) {
    return deny(refusal, "VMRUN must be intercepted (VMCB 010h[0])");
  }
  if (vmcb.asid == 0) {
    return deny(refusal, "ASID 0 is the host's (VMCB 058h)");
  }
  constexpr u64 end = bit(physical_bits);
  constexpr u64 iopm_bytes = 0x3000;
  constexpr u64 msrpm_bytes = 0x2000;
  if (vmcb.iopm_base >= end - iopm_bytes || vmcb.msrpm_base >= end - msrpm_bytes) {
    return deny(refusal,
                "IOPM and MSRPM must lie below the end of physical memory (VMCB 040h, 048h)",
                vmcb.iopm_base, vmcb.msrpm_base);
  }
  if (!event_legal(vmcb.eventinj)) {
    return deny(refusal, "EVENTINJ: reserved type or not an exception's vector (VMCB 0A8h)",
                vmcb.eventinj);
  }
  if ((vmcb.vintr & svm::vintr::avic) != 0) {
    return deny(refusal, "AVIC is not in this processor (VMCB 060h[31])", vmcb.vintr);
  }
  return true;
}

// Rows 3 to 5.
bool check_sev(System& system, GuestImage& image, Refusal& refusal) {
  const SharedMsrs& shared = system.platform().shared_msrs();
  const u64 bits = image.vmcb.np_and_sev;
  image.nested_paging = (bits & np::np_enable) != 0;
  if ((shared.syscfg & x86::msr::syscfg_bits::mem_encryption_mod_en) == 0) {
    return true;  // SEV bits ignored
  }
  image.sev = (bits & np::sev) != 0;
  image.sev_es = (bits & np::sev_es) != 0;
  if (image.sev_es && !image.sev) {
    return deny(refusal, "SEV-ES needs SEV (VMCB 090h[2:1])", bits);
  }
  if (!image.sev) {
    return true;
  }
  if (!image.nested_paging) {
    return deny(refusal, "SEV needs nested paging (VMCB 090h[0])", bits);
  }
  if ((shared.hwcr & 1) == 0) {
    return deny(refusal, "SEV needs HWCR.SmmLock", shared.hwcr);
  }
  const CpuidRegisters leaf = system.platform().cpuid(0x8000001F, 0);
  if (image.vmcb.asid > leaf.ecx) {
    return deny(refusal, "ASID above the number of encrypted guests (CPUID Fn8000_001F_ECX)",
                image.vmcb.asid, leaf.ecx);
  }
  if (!system.state().code64()) {
    return deny(refusal, "SEV guests only from a 64-bit host (CPUID Fn8000_001F_EAX[11])");
  }
  if (!image.sev_es && image.vmcb.asid < leaf.edx) {
    return deny(refusal, "ASID kept for SEV-ES guests (CPUID Fn8000_001F_EDX)", image.vmcb.asid,
                leaf.edx);
  }
  const u64 lbr = image.vmcb.lbr_and_virt & svm::lbr_and_virt::lbr_virtualization;
  if (image.sev_es && lbr == 0) {
    return deny(refusal, "SEV-ES needs LBR virtualization (VMCB 0B8h[0])");
  }
  return true;
}

// Row 6 and row 7: SNPActive is inside the page, which the ASID's key opens (hardware sheet 6.3).
bool read_vmsa(System& system, GuestImage& image, Refusal& refusal) {
  Mmu& mmu = system.mmu();
  image.vmsa_page = SystemPhysical(image.vmcb.vmsa_pointer & mask_bits(51, 12) & ~c_bit_mask);
  const u64 page = image.vmsa_page.value();
  if (!mmu.dram().contains(image.vmsa_page, page_size)) {
    return deny(refusal, "VMSA pointer beyond memory (VMCB 108h)", page);
  }
  std::memcpy(image.vmsa.raw, mmu.frame(image.vmsa_page, memory::key_of(image.asid)), vmsa_bytes);
  image.features = image.vmsa.sev_features;
  image.snp = image.feature(snp::feature::snp_active);
  if (mmu.rmp().enabled()) {
    const memory::Rule rule = image.snp ? mmu.rmp().check_snp_vmsa(image.vmsa_page, image.asid)
                                        : mmu.rmp().check_host_page(image.vmsa_page);
    if (rule != memory::Rule::none) {
      return deny(refusal,
                  image.snp ? "VMSA page fails its RMP checks"
                            : "VMSA page of an SEV-ES guest must be hypervisor-owned",
                  page, static_cast<u64>(rule));
    }
  } else if (image.snp) {
    return deny(refusal, "SNPActive needs SYSCFG.SecureNestedPagingEn", image.features);
  }
  return image.snp || checksum_holds(mmu, image) ||
         deny(refusal, "VMSA does not have its checksum (VMSA 388h)", page,
              image.vmsa.checksum_address);
}

// Row 8.
bool check_features(const GuestImage& image, Refusal& refusal) {
  const u64 unsupported = image.features & ~supported_features;
  if (unsupported != 0) {
    return deny(refusal, "SEV_FEATURES bit this processor lacks (VMSA 3B0h)", image.features,
                supported_features);
  }
  const u64 allowed = image.vmcb.allowed_sev_features;
  if (has_bit(allowed, 63) && (image.features & ~allowed) != 0) {
    return deny(refusal, "SEV_FEATURES not within ALLOWED_SEV_FEATURES (VMCB 138h)", image.features,
                allowed);
  }
  return true;
}

// Rows 9, 10 and 12 (hardware sheet 6.4).
bool check_injection(GuestImage& image, Refusal& refusal) {
  const bool restricted = image.feature(snp::feature::restricted_injection);
  const bool alternate = image.alternate_injection();
  if (restricted && alternate) {
    return deny(refusal, "restricted and alternate injection exclude each other (VMSA 3B0h)",
                image.features);
  }
  if (alternate) {
    if ((image.vmsa.vintr_ctrl & svm::vintr_ctrl::busy) != 0) {
      return deny(refusal, "VMSA is busy (VMSA 3B8h[63])", image.vmsa.vintr_ctrl, 0,
                  ExitCode::busy);
    }
    image.eventinj = image.vmsa.eventinj;
    image.vintr = image.vmsa.vintr_ctrl;
    if (!event_legal(image.eventinj)) {
      return deny(refusal, "EVENTINJ: reserved type or not an exception's vector (VMSA 3E0h)",
                  image.eventinj);
    }
  }
  if ((image.eventinj & event::valid) == 0) {
    return true;
  }
  const u64 type = get_bits(image.eventinj, 10, 8);
  const u64 vector = image.eventinj & event::vector;
  const bool exception = type == static_cast<u64>(event::Type::exception);
  const bool is_hv = exception && vector == static_cast<u64>(x86::Vector::hv) &&
                     (image.eventinj & event::error_valid) == 0;
  // #HV may be injected into nothing but VMSAs with restricted injection (KVM's
  // restricted-injection series, first patch, in the whitepaper's words).
  if (!restricted && exception && vector == static_cast<u64>(x86::Vector::hv)) {
    return deny(refusal, "#HV only under restricted injection (VMSA 3B0h[3])", image.eventinj);
  }
  if (restricted && !is_hv) {
    return deny(refusal, "restricted injection: only #HV may be injected (VMCB 0A8h)",
                image.eventinj);
  }
  if (type == static_cast<u64>(event::Type::software) ||
      (exception && (vector == 3 || vector == 4))) {
    return deny(refusal, "software interrupts cannot be injected into SEV-ES guests (VMCB 0A8h)",
                image.eventinj);
  }
  return true;
}

}  // namespace

bool read_image(System& system, SystemPhysical vmcb, GuestImage& image, Refusal& refusal) {
  image = {};
  image.vmcb_page = vmcb;
  image.vmcb = load_le<svm::Vmcb>(system.mmu().frame(vmcb, memory::KeyId::none));
  image.asid = static_cast<Asid>(image.vmcb.asid);
  image.eventinj = image.vmcb.eventinj;
  image.vintr = image.vmcb.vintr;
  if (!check_controls(image.vmcb, refusal) || !check_sev(system, image, refusal)) {
    return false;
  }
  return !image.sev_es || (read_vmsa(system, image, refusal) && check_features(image, refusal) &&
                           check_injection(image, refusal));
}

bool consistent(const CoreState& s, Refusal& refusal) {
  const bool lme_paging = (s.efer & x86::efer::lme) != 0 && (s.cr0 & x86::cr0::pg) != 0;
  const bool long_and_big = (s.seg[1].attributes & svm::attribute::long_mode) != 0 &&
                            (s.seg[1].attributes & svm::attribute::default_big) != 0;
  if ((s.efer & x86::efer::svme) == 0) {
    return deny(refusal, "EFER.SVME must be 1 in the guest's state", s.efer);
  }
  if ((s.efer & ~efer_supported) != 0) {
    return deny(refusal, "EFER: reserved bits set", s.efer, efer_supported);
  }
  if (!cr0_legal(s.cr0)) {
    return deny(refusal, "CR0: upper half set, or NW without CD", s.cr0);
  }
  if (s.long_mode() && (s.cr3 & cr3_reserved_long) != 0) {
    return deny(refusal, "CR3: reserved bits set", s.cr3, ~cr3_reserved_long);
  }
  if (!cr4_legal(s.cr4)) {
    return deny(refusal, "CR4: reserved bits set", s.cr4, cr4_supported);
  }
  if ((s.dr6 >> 32) != 0 || (s.dr7 >> 32) != 0) {
    return deny(refusal, "DR6 or DR7: upper half set", s.dr6, s.dr7);
  }
  if (lme_paging && (s.cr4 & x86::cr4::pae) == 0) {
    return deny(refusal, "long mode without CR4.PAE", s.cr4);
  }
  if (lme_paging && (s.cr0 & x86::cr0::pe) == 0) {
    return deny(refusal, "long mode without CR0.PE", s.cr0);
  }
  if (lme_paging && long_and_big) {
    return deny(refusal, "CS.L and CS.D both set in long mode", s.seg[1].attributes);
  }
  if (!xcr0_legal(s.xcr0)) {
    return deny(refusal, "XCR0: component this processor lacks", s.xcr0, xcr0_supported);
  }
  return true;
}

}  // namespace softsnp::cpu

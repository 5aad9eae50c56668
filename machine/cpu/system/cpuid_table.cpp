#include "machine/cpu/system/cpuid_table.hpp"

#include <cstring>

#include "arch/snp/features.hpp"
#include "arch/snp/rmp.hpp"
#include "machine/cpu/system/paging_mode.hpp"

namespace softsnp::cpu {
namespace {

constexpr u32 max_basic = 0x10;
constexpr u32 max_extended = 0x80000021;

template <class... Bits>
constexpr u32 bits(Bits... n) {
  return ((1u << n) | ... | 0u);
}

// Leaf 1. No MONITOR, FMA, AVX, F16C; OSXSAVE by CR4.
constexpr u32 leaf1_ecx = bits(0, 1, 9, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 30);
// No VME. What Fn8000_0001_EDX repeats comes first.
constexpr u32 common_edx = bits(0, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 23, 24);
constexpr u32 leaf1_edx = common_edx | bits(11, 19, 25, 26, 28);
// FSGSBASE BMI1 SMEP BMI2 ERMS INVPCID RDSEED ADX SMAP CLFLUSHOPT CLWB.
constexpr u32 leaf7_ebx = bits(0, 3, 7, 8, 9, 10, 18, 19, 20, 23, 24);
constexpr u32 leaf7_ecx = bits(22);  // RDPID
constexpr u32 leaf7_edx = bits(4);   // FSRM
// LahfSahf SVM ABM SSE4A 3DNowPrefetch TCE TopologyExtensions; CmpLegacy with several cores.
constexpr u32 ext1_ecx = bits(0, 2, 5, 6, 8, 17, 22);
// SysCallSysRet NX MmxExt Page1GB RDTSCP LM.
constexpr u32 ext1_edx = common_edx | bits(11, 20, 22, 26, 27, 29);
// WBNOINVD, EferLmsleUnsupported.
constexpr u32 ext8_ebx = bits(9, 20);
// NP LbrVirt SVML NRIPS VmcbClean FlushByAsid DecodeAssists PauseFilter PauseFilterThreshold
// IdleHltIntercept.
constexpr u32 svm_edx = bits(0, 1, 2, 3, 5, 6, 7, 10, 12, 30);
constexpr u32 svm_asids = 0x8000;
// NoNestedDataBp, LFenceAlwaysSerializing, NullSelectorClearsBase.
constexpr u32 ext21_eax = bits(0, 2, 6, 28);

// Hardware sheet 1.1: SME SEV PageFlushMsr ES SNP VMPL RMPQUERY SecureTsc TscAuxVirtualization
// HwEnfCacheCoh 64BitHost Restricted- and AlternateInjection DebugVirt PreventHostIbs
// VmgexitParameter VirtualTom RMPREAD AllowedSevFeatures HvInUseWrAllowed IBPBOnEntry.
constexpr u32 encryption_eax =
    bits(0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 21, 27, 30, 31);
constexpr u32 coherency_sfw_no = 1u << 31;
// ASIDs below are for SEV-ES and SNP guests.
constexpr u32 min_sev_no_es_asid = 500;

constexpr u32 xsave_area = 0x240;  // legacy region and header

struct Model {
  u32 signature;
  u32 address_reduction;  // Fn8000_001F_EBX[11:6]
  char brand[48];
};

// Signatures: firmware sheet 2.2 and 5.
constexpr Model milan = {0x00A00F11, 5, "AMD EPYC 7713 64-Core Processor (softsnp)"};
constexpr Model genoa = {0x00A10F11, 6, "AMD EPYC 9654 96-Core Processor (softsnp)"};
constexpr Model turin = {0x00B00F21, 6, "AMD EPYC 9755 128-Core Processor (softsnp)"};

constexpr const Model& model_of(psp::Product product) {
  return product == psp::Product::milan ? milan : product == psp::Product::turin ? turin : genoa;
}

// "AuthenticAMD" in EBX, EDX, ECX.
constexpr CpuidRegisters vendor(u32 max_leaf) {
  return {max_leaf, 0x68747541, 0x444D4163, 0x69746E65};
}

CpuidRegisters xsave(u32 subleaf) {
  if (subleaf == 0) {
    return {static_cast<u32>(xcr0_supported), xsave_area, xsave_area, 0};
  }
  return subleaf == 1 ? CpuidRegisters{bits(0, 1), xsave_area, 0, 0} : CpuidRegisters{};
}

}  // namespace

u32 CpuidTable::signature() const {
  return model_of(product_).signature;
}

unsigned CpuidTable::core_id_bits() const {
  unsigned n = 0;
  while ((1u << n) < cores_) {
    ++n;
  }
  return n;
}

// Leaf B: one thread a core, all cores in one package.
CpuidRegisters CpuidTable::topology(u32 subleaf, unsigned core) const {
  switch (subleaf) {
    case 0:
      return {0, 1, 0x100, core};
    case 1:
      return {core_id_bits(), cores_, 0x201, core};
    default:
      return {0, 0, subleaf & 0xFF, core};
  }
}

CpuidRegisters CpuidTable::basic(u32 leaf, u32 subleaf, unsigned core) const {
  switch (leaf) {
    case 0:
      return vendor(max_basic);
    case 1:
      return {signature(), (core << 24) | ((cores_ & 0xFF) << 16) | (8u << 8), leaf1_ecx,
              cores_ > 1 ? leaf1_edx : leaf1_edx & ~bits(28)};
    case 6:
      return {bits(2), 0, 0, 0};  // ARAT
    case 7:
      return subleaf == 0 ? CpuidRegisters{0, leaf7_ebx, leaf7_ecx, leaf7_edx} : CpuidRegisters{};
    case 0xB:
      return topology(subleaf, core);
    case 0xD:
      return xsave(subleaf);
    default:
      return {};
  }
}

CpuidRegisters CpuidTable::brand(u32 part) const {
  u32 words[4];
  std::memcpy(words, model_of(product_).brand + 16 * part, sizeof words);
  return {words[0], words[1], words[2], words[3]};
}

// Fn8000_001D: L1 data, L1 instruction, L2, L3.
CpuidRegisters CpuidTable::caches(u32 subleaf) const {
  const auto describe = [](u32 type, u32 level, u32 sharing, u32 ways, u32 sets) {
    return CpuidRegisters{type | (level << 5) | bits(8) | ((sharing - 1) << 14),
                          63 | ((ways - 1) << 22), sets - 1, 0};
  };
  constexpr u32 cores_a_complex = 8;
  switch (subleaf) {
    case 0:
      return describe(1, 1, 1, 8, 64);
    case 1:
      return describe(2, 1, 1, 8, 64);
    case 2:
      return describe(3, 2, 1, 8, 2048);
    case 3:
      return describe(3, 3, cores_ < cores_a_complex ? cores_ : cores_a_complex, 16, 32768);
    default:
      return {};
  }
}

CpuidRegisters CpuidTable::encryption() const {
  const u32 ebx = snp::c_bit | (model_of(product_).address_reduction << 6) | (vmpl_count << 12) |
                  coherency_sfw_no;
  return {encryption_eax, ebx, snp::max_asid, min_sev_no_es_asid};
}

CpuidRegisters CpuidTable::extended(u32 leaf, u32 subleaf, unsigned core) const {
  switch (leaf) {
    case 0x80000000:
      return vendor(max_extended);
    case 0x80000001:
      return {signature(), 4u << 28, cores_ > 1 ? ext1_ecx | bits(1) : ext1_ecx, ext1_edx};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return brand(leaf - 0x80000002);
    case 0x80000005:
      return {0xFF48FF40, 0xFF48FF40, 0x20080140, 0x20080140};
    case 0x80000006:
      return {0x5C002200, 0x6C004200, 0x04006140, 0x01009140};
    case 0x80000007:
      return {0, 0, 0, bits(8)};  // TscInvariant
    case 0x80000008:
      return {physical_bits | (48u << 8), ext8_ebx, (cores_ - 1) | (core_id_bits() << 12), 0};
    case 0x8000000A:
      return {1, svm_asids, 0, svm_edx};
    case 0x8000001D:
      return caches(subleaf);
    case 0x8000001E:
      return {core, core & 0xFF, 0, 0};
    case 0x8000001F:
      return encryption();
    case 0x80000021:
      return {ext21_eax, 0, 0, 0};
    default:
      return {};
  }
}

CpuidRegisters CpuidTable::query(u32 leaf, u32 subleaf, unsigned core) const {
  if (leaf <= max_basic) {
    return basic(leaf, subleaf, core);
  }
  return leaf >= 0x80000000 && leaf <= max_extended ? extended(leaf, subleaf, core)
                                                    : CpuidRegisters{};
}

}  // namespace softsnp::cpu

// What this hypervisor offers of the host's CPUID: rows of masks, one a leaf. A leaf without a row
// is not offered. linux-boot sheet 3.4, 3.5; firmware sheet 3.2 (what a CPUID page may hold).
#include <algorithm>

#include "hypervisor/kvm/cpuid.hpp"

namespace softsnp::kvm {
namespace {

constexpr u32 all = 0xFFFFFFFF;

struct Row {
  u32 leaf;
  u32 subleaves;  // 0: not indexed; else the number of sub-leaves offered, if the host has them
  u32 eax, ebx, ecx, edx;
};

constexpr u32 without(u32 bits_out) {
  return ~bits_out;
}
constexpr u32 b(unsigned n) {
  return 1u << n;
}

// 1.ECX: without MONITOR, SMX, EST, TM2, CNXT, xTPR, PDCM, DCA, TSC deadline (offered below),
// OSXSAVE. 1.EDX: without MCE, MCA, DS, ACPI, SS, TM, PBE; HTT is the VMM's.
constexpr u32 leaf1_ecx = without(b(3) | b(4) | b(5) | b(6) | b(7) | b(8) | b(10) | b(14) | b(15) |
                                  b(18) | b(24) | b(27));
constexpr u32 leaf1_edx =
    without(b(7) | b(14) | b(18) | b(21) | b(22) | b(27) | b(28) | b(29) | b(31));
// 7.0: no TSC_ADJUST, SGX, PQM, PQE, MPX, PT; no PKU, OSPKE, WAITPKG, CET, LA57; EDX nothing that
// needs an MSR.
constexpr u32 leaf7_ebx = without(b(1) | b(2) | b(12) | b(14) | b(15) | b(25));
constexpr u32 leaf7_ecx = without(b(3) | b(4) | b(5) | b(7) | b(16) | b(24));
constexpr u32 leaf7_edx = b(4);  // FSRM
// 80000001.ECX: without SVM, IBS, XOP, SKINIT, WDT, LWP, FMA4, TCE, perf counters, MWAITX, OSVW.
constexpr u32 ext1_ecx =
    without(b(2) | b(9) | b(10) | b(11) | b(12) | b(13) | b(15) | b(16) | b(17) | b(21) | b(23) |
            b(24) | b(26) | b(27) | b(28) | b(29) | b(30));
constexpr u32 ext1_edx = without(b(7) | b(14));
// 80000008.EBX: CLZERO, XSAVEERPTR, WBNOINVD.
constexpr u32 ext8_ebx = b(0) | b(2) | b(9);
// 80000021.EAX: no nested data breakpoints, LFENCE serialising, null selector clears base,
// IBPB_BRTYPE (updated microcode: without it Linux warns of SRSO).
constexpr u32 ext21_eax = b(0) | b(2) | b(6) | b(28);

constexpr Row rows[] = {
    {0x0, 0, all, all, all, all},
    {0x1, 0, all, 0x0000FF00, leaf1_ecx, leaf1_edx},
    {0x6, 0, b(2), 0, 0, 0},
    {0x7, 1, 0, leaf7_ebx, leaf7_ecx, leaf7_edx},
    {0xB, 2, all, all, 0xFF00, 0},
    {0xD, 12, all, all, all, 0},
    {0x80000000, 0, all, all, all, all},
    {0x80000001, 0, all, all, ext1_ecx, ext1_edx},
    {0x80000002, 0, all, all, all, all},
    {0x80000003, 0, all, all, all, all},
    {0x80000004, 0, all, all, all, all},
    {0x80000005, 0, all, all, all, all},
    {0x80000006, 0, all, all, all, all},
    {0x80000007, 0, 0, 0, 0, b(8)},
    {0x80000008, 0, 0x00FFFFFF, ext8_ebx, 0x0000F0FF, 0},
    {0x8000001A, 0, all, 0, 0, 0},
    {0x8000001D, 5, all, all, all, all},
    {0x8000001E, 0, all, 0xFFFF, 0x7FF, 0},
    {0x80000021, 0, ext21_eax, 0, 0, 0},
};

// Leaf 80000008.EAX[7:0] with SME on would be reduced for hosts only; guests see it whole
// (hardware sheet 1.1).
CpuidEntry masked(const machine::HostPort& port, const Row& row, u32 subleaf) {
  const machine::CpuidResult host = port.cpuid(row.leaf, subleaf);
  return {row.leaf,           subleaf,
          row.subleaves != 0, host.eax & row.eax,
          host.ebx & row.ebx, host.ecx & row.ecx,
          host.edx & row.edx};
}

bool is_empty(const CpuidEntry& entry) {
  return (entry.eax | entry.ebx | entry.ecx | entry.edx) == 0;
}

void add_row(std::vector<CpuidEntry>& out, const machine::HostPort& port, const Row& row) {
  if (row.subleaves == 0) {
    out.push_back(masked(port, row, 0));
    return;
  }
  for (u32 subleaf = 0; subleaf < row.subleaves; ++subleaf) {
    const CpuidEntry entry = masked(port, row, subleaf);
    if (subleaf == 0 || !is_empty(entry)) {
      out.push_back(entry);
    }
  }
}

// The guest's view of the encryption leaf: SEV, ES and SNP as far as it has them, coherent; one bit
// of address reduction as QEMU says; EBX[31] (no eviction reads needed after PVALIDATE) is the
// processor's to promise.
CpuidEntry sev_leaf(const machine::HostPort& port, VmType type) {
  const machine::CpuidResult host = port.cpuid(0x8000001F, 0);
  const u32 c_bit = host.ebx & 0x3F;
  return {0x8000001F,
          0,
          false,
          b(1) | (has_encrypted_state(type) ? b(3) : 0) | (type == VmType::snp ? b(4) : 0) |
              (host.eax & b(10)),
          c_bit | 1u << 6 | (host.ebx & b(31)),
          0,
          0};
}

// linux-boot sheet 3.5: no I/O delay, clock by the new MSRs, clock stable.
constexpr u32 kvm_features = b(1) | b(3) | b(24);
static_assert(kvm_features == 0x0100000A);

// An SEV guest tells the host which pages it shares by KVM_HC_MAP_GPA_RANGE: bit 16, and bit 17,
// migration control, without which Linux does not look at bit 16 (kvm_init_platform()).
constexpr u32 sev_features = b(16) | b(17);

void add_kvm_leaves(std::vector<CpuidEntry>& out, VmType type) {
  const bool is_sev = type == VmType::sev || type == VmType::sev_es;
  // "KVMKVMKVM\0\0\0"
  out.push_back({0x40000000, 0, false, 0x40000001, 0x4B4D564B, 0x564B4D56, 0x0000004D});
  out.push_back({0x40000001, 0, false, kvm_features | (is_sev ? sev_features : 0), 0, 0, 0});
}

}  // namespace

std::vector<CpuidEntry> supported_cpuid(const machine::HostPort& port, VmType type) {
  std::vector<CpuidEntry> out;
  const u32 max_basic = port.cpuid(0, 0).eax;
  const u32 max_extended = port.cpuid(0x80000000, 0).eax;
  for (const Row& row : rows) {
    const u32 max = row.leaf >= 0x80000000 ? max_extended : max_basic;
    if (row.leaf > max) {
      continue;
    }
    add_row(out, port, row);
  }
  for (CpuidEntry& entry : out) {
    if (entry.leaf == 0x1) {
      entry.ecx |= b(21) | b(31);  // x2APIC and the hypervisor bit are ours
      entry.edx |= b(9);
      // The firmware refuses TSC deadline in a CPUID page (firmware sheet 3.2, leaf 1.ECX).
      entry.ecx |= type == VmType::plain ? b(24) : 0;
    } else if (entry.leaf == 0x80000000) {
      entry.eax = std::min(entry.eax, 0x80000021u);
    } else if (entry.leaf == 0) {
      entry.eax = std::min(entry.eax, 0xDu);
    } else if (entry.leaf == 0xD && entry.subleaf == 0) {
      entry.ebx = 0x240;
    }
  }
  if (has_encrypted_memory(type)) {
    out.push_back(sev_leaf(port, type));
  }
  add_kvm_leaves(out, type);
  return out;
}

}  // namespace softsnp::kvm

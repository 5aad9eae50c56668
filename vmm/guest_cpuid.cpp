#include "vmm/guest_cpuid.hpp"

#include <algorithm>
#include <bit>

#include "base/bits.hpp"

namespace softsnp::vmm {
namespace {

// A complex of cores has one L3 cache (Zen 3 and later).
constexpr unsigned cores_a_complex = 8;

struct Topology {
  u32 vcpus;
  u32 id_bits;  // of an APIC id that name the core
};

u32 with(u32 value, unsigned high, unsigned low, u64 field) {
  return static_cast<u32>(with_bits(value, high, low, field));
}

// Leaf B: sub-leaf 0 the threads of a core, 1 the cores of the socket (level types 1, 2).
void describe_levels(kvm::CpuidEntry& entry, const Topology& topology) {
  if (entry.subleaf == 0) {
    entry.eax = 0;
    entry.ebx = 1;
    entry.ecx = 0x100;
  } else if (entry.subleaf == 1) {
    entry.eax = topology.id_bits;
    entry.ebx = topology.vcpus;
    entry.ecx = 0x201;
  }
}

// Fn8000_001D EAX[25:14]: who shares the cache, less one. Only L3 is shared.
void describe_sharing(kvm::CpuidEntry& entry, const Topology& topology) {
  const u64 level = get_bits(entry.eax, 7, 5);
  if (level != 0) {
    const u32 sharing = level == 3 ? std::min(topology.vcpus, cores_a_complex) : 1;
    entry.eax = with(entry.eax, 25, 14, sharing - 1);
  }
}

void describe(kvm::CpuidEntry& entry, const Topology& topology) {
  const bool several = topology.vcpus > 1;
  switch (entry.leaf) {
    case 1:
      entry.ebx = with(entry.ebx, 23, 16, topology.vcpus);
      entry.edx = with(entry.edx, 28, 28, several);  // HTT
      break;
    case 0xB:
      describe_levels(entry, topology);
      break;
    case 0x80000001:
      entry.ecx = with(entry.ecx, 1, 1, several);  // CmpLegacy
      break;
    case 0x80000008:
      entry.ecx = with(with(entry.ecx, 7, 0, topology.vcpus - 1), 15, 12, topology.id_bits);
      break;
    case 0x8000001D:
      describe_sharing(entry, topology);
      break;
    case 0x8000001E:
      entry.ebx = with(entry.ebx, 15, 8, 0);  // one thread a core
      entry.ecx = with(entry.ecx, 10, 0, 0);  // one node
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<kvm::CpuidEntry> guest_cpuid(const kvm::Kvm& kvm, kvm::VmType type, unsigned vcpus) {
  const Topology topology{vcpus, static_cast<u32>(std::bit_width(vcpus - 1))};
  std::vector<kvm::CpuidEntry> entries = kvm.supported_cpuid(type);
  for (kvm::CpuidEntry& entry : entries) {
    describe(entry, topology);
  }
  return entries;
}

}  // namespace softsnp::vmm

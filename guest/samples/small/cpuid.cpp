// CPUID out of the firmware's page: what the hypervisor may add, and what it may not.
#include "arch/x86/registers.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

void print_leaf(u32 leaf, u32 subleaf, const Cpuid& value) {
  print("  ", Hex{leaf}, ".", subleaf, ": ", Hex{value.eax}, " ", Hex{value.ebx}, " ",
        Hex{value.ecx}, " ", Hex{value.edx}, "\n");
}

}  // namespace

void run(SmallGuest& guest) {
  const psp::CpuidPage& page = *guest.must(guest.boot().cpuid_page());
  print("entries in the page: ", u64{page.count}, "\n");
  for (const u32 leaf : {0u, 1u, 0xBu, 0x80000000u, 0x8000001Eu, 0x8000001Fu}) {
    print_leaf(leaf, 0, cpuid(leaf));
  }
  bool same = true;
  for (u32 i = 0; i < page.count; ++i) {
    const psp::CpuidEntry& entry = page.entries[i];
    // The leaves without anything of the moment in them.
    if (entry.eax_in == 1 || entry.eax_in == 7 || entry.eax_in == 0xB || entry.eax_in == 0xD ||
        entry.eax_in == 0x8000001E || entry.eax_in == 0x8000001F || entry.ecx_in != 0) {
      continue;
    }
    const Cpuid got = cpuid(entry.eax_in, entry.ecx_in);
    same = same && got.eax == entry.eax && got.ebx == entry.ebx && got.ecx == entry.ecx &&
           got.edx == entry.edx;
  }
  check(guest, "CPUID says what the page says", same);

  const auto osxsave = [] { return (cpuid(1).ecx >> 27 & 1) != 0; };
  const bool before = osxsave();
  asm volatile("mov %0, %%cr4" : : "r"(guest.processor().read_cr4() ^ x86::cr4::osxsave));
  check(guest, "OSXSAVE follows CR4", osxsave() != before);
  check(guest, "leaf beyond the page is zero", cpuid(0x90000000).eax == 0);
  check(guest, "SVSM bit says whether there is one",
        (cpuid(0x8000001F).eax >> 28 & 1) == (guest.vmpl() == Vmpl::vmpl0 ? 0 : 1));
}

}  // namespace softsnp::guest

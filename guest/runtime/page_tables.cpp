#include "guest/runtime/page_tables.hpp"

#include "arch/x86/registers.hpp"
#include "base/bits.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/ghcb_client.hpp"

namespace softsnp::guest {
namespace {

using namespace x86;

constexpr unsigned spare_tables = 16;
alignas(page_size) u64 spare[spare_tables][512];
unsigned spare_used = 0;

u64* table(u64 entry) {
  return reinterpret_cast<u64*>(entry & pte::address_mask & ~c_bit);
}

u64* large_entry(u64 at) {
  u64* pml4 = table(read_cr3());
  u64* pdpt = table(pml4[(at >> 39) & 511]);
  u64* directory = table(pdpt[(at >> 30) & 511]);
  return &directory[(at >> 21) & 511];
}

void apply(u64& entry, bool encrypted) {
  entry = encrypted ? entry | c_bit : entry & ~c_bit;
}

}  // namespace

void set_encrypted(const volatile void* at, bool encrypted) {
  const u64 address = reinterpret_cast<u64>(at);
  u64* entry = large_entry(address);
  if ((*entry & pte::large) != 0) {
    if (spare_used == spare_tables) {
      softsnp::guest::ghcb().terminate(0, 0);  // no tables left: a general request
    }
    u64* leaves = spare[spare_used++];
    const u64 flags = *entry & ~pte::large & ~pte::address_mask;
    const u64 base = *entry & pte::address_mask;
    for (unsigned i = 0; i < 512; ++i) {
      leaves[i] = (base + i * page_size) | flags;
    }
    *entry = reinterpret_cast<u64>(leaves) | (*entry & c_bit) | pte::present | pte::write;
  }
  apply(table(*entry)[(address >> 12) & 511], encrypted);
  write_cr3(read_cr3());
}

void set_encrypted_2m(const volatile void* at, bool encrypted) {
  apply(*large_entry(reinterpret_cast<u64>(at)), encrypted);
  write_cr3(read_cr3());
}

}  // namespace softsnp::guest

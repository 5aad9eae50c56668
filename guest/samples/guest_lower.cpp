#include "guest/samples/guest_lower.hpp"

#include "arch/ghcb/ap_creation.hpp"
#include "arch/snp/features.hpp"
#include "arch/snp/rmp.hpp"
#include "arch/svm/vmcb.hpp"
#include "guest/runtime/ap_start.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/samples/guest_state.hpp"

// RDI: where it counts.
asm(R"(
.text
.balign 4096
softsnp_lower_entry:
  sti
  hlt
  cli
  mov $1000000, %ecx
1:
  dec %ecx
  jnz 1b
  jmp softsnp_lower_entry
softsnp_lower_interrupt:
  incq (%rdi)
  iretq
.balign 4096
)");

extern "C" const char softsnp_lower_entry[], softsnp_lower_interrupt[];

namespace softsnp::guest {
namespace {

constexpr u8 lower_vmpl = 2;
alignas(page_size) svm::Vmsa save_area;
alignas(page_size) struct {
  u64 gdt[3];
  ExceptionTables::Gate idt[128];
  u64 count;
  u8 stack[1024];
  u64 stack_end;
} lower;
static_assert(sizeof lower <= page_size);

u64 at(const volatile void* p) {
  return reinterpret_cast<u64>(p);
}

void grant(u64 page) {
  if (rmpadjust(reinterpret_cast<void*>(page & ~page_offset_mask), false, lower_vmpl,
                snp::permission::all, false) != 0) {
    terminate(processor(), Cause::pvalidate_failed);
  }
}

// The tables that map address: walking them is access, too.
void grant_tables(u64 address) {
  constexpr u64 large = bit(7);
  u64 table = read_cr3() & mask_bits(50, 12);
  for (unsigned shift = 39;; shift -= 9) {
    grant(table);
    const u64 entry = reinterpret_cast<const u64*>(table)[(address >> shift) & 511];
    if (shift == 12 || (entry & large) != 0) {
      return;
    }
    table = entry & mask_bits(50, 12);
  }
}

void fill(u8 vector) {
  lower.gdt[1] = 0x00AF9B000000FFFF;
  lower.gdt[2] = 0x00CF93000000FFFF;
  const u64 handler = at(softsnp_lower_interrupt);
  lower.idt[vector] = {static_cast<u16>(handler),       8, 0, 0x8E, static_cast<u16>(handler >> 16),
                       static_cast<u32>(handler >> 32), 0};
  LongModeStart start{};
  start.rip = at(softsnp_lower_entry);
  start.rsp = at(&lower.stack_end);
  start.argument = at(&lower.count);
  start.cr3 = read_cr3();
  start.gdt_base = at(lower.gdt);
  start.gdt_limit = sizeof lower.gdt - 1;
  fill_vmsa(save_area, {Vmpl::vmpl2, snp::feature::snp_active | snp::feature::alternate_injection},
            start);
  save_area.idtr = {0, 0, sizeof lower.idt - 1, at(lower.idt)};
  save_area.vintr_ctrl = svm::vintr_ctrl::vgif;
}

}  // namespace

svm::Vmsa& make_lower_vmpl(u8 vector) {
  fill(vector);
  for (const u64 page : {at(softsnp_lower_entry), at(&lower)}) {
    grant(page);
    grant_tables(page);
  }
  if (rmpadjust(&save_area, false, 1, 0, true) != 0) {
    terminate(processor(), Cause::ap_not_started);
  }
  const GhcbUse use(ghcb());
  ghcb().begin();
  ghcb().set(ghcb::field::rax, save_area.sev_features);
  const u64 creation = encode(ghcb::ApCreation{0, lower_vmpl, 0, ghcb::ApRequest::create_on_init});
  if (!ghcb().call(number(ghcb::Event::ap_creation), creation, at(&save_area))) {
    terminate(processor(), Cause::ap_not_started);
  }
  return save_area;
}

u64 lower_interrupts() {
  return __atomic_load_n(&lower.count, __ATOMIC_SEQ_CST);
}

}  // namespace softsnp::guest

#include "image/entry_state.hpp"

#include "arch/boot/multiboot.hpp"
#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "guest/boot/sev_es_boot.hpp"
#include "image/low_memory.hpp"
#include "image/page_tables.hpp"

namespace softsnp::image {
namespace {

namespace attribute = svm::attribute;

constexpr u16 code32_selector = 0x08, code64_selector = 0x10, data_selector = 0x18;
constexpr u64 descriptors[] = {0, 0x00CF9B000000FFFF, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
constexpr u16 table_limit = sizeof descriptors - 1;

constexpr u16 code_type = 0xB, data_type = 0x3;  // accessed, readable / writable
constexpr u16 real_mode_limit = 0xFFFF;
constexpr u16 ldt_type = 0x2, busy_tss_type = 0xB;
constexpr u64 pat_reset = 0x0007040600070406;
constexpr u64 dr6_reset = 0xFFFF0FF0, dr7_reset = 0x400;

svm::SegmentRegister flat(u16 selector, u16 type_and_size) {
  const u16 attributes =
      type_and_size | attribute::code_or_data | attribute::present | attribute::granularity;
  return {selector, attributes, 0xFFFFFFFF, 0};
}

svm::SegmentRegister system(u16 type) {
  return {0, static_cast<u16>(type | attribute::present), 0xFFFF, 0};
}

svm::Vmsa common_state(Mode mode, GuestPhysical entry) {
  svm::Vmsa state{};
  const svm::SegmentRegister data = flat(data_selector, data_type | attribute::default_big);
  state.es = state.ss = state.ds = state.fs = state.gs = data;
  state.gdtr = {0, 0, table_limit, low::descriptors.value()};
  state.ldtr = system(ldt_type);
  state.tr = system(busy_tss_type);
  state.dr6 = dr6_reset;
  state.dr7 = dr7_reset;
  state.rflags = x86::rflags::fixed1;
  state.rip = entry.value();
  state.g_pat = pat_reset;
  state.xcr0 = 1;
  state.mxcsr = 0x1F80;
  state.x87_fcw = 0x37F;
  // In a VMSA EFER.SVME must be set (hardware sheet 9.1).
  if (mode == Mode::snp || mode == Mode::sev_es) {
    state.efer = x86::efer::svme;
  }
  // Of a guest at any VMPL; the launched VMSA may have more (Assembly::finish).
  if (mode == Mode::snp) {
    state.sev_features = snp::feature::snp_active;
  }
  return state;
}

}  // namespace

svm::Vmsa long_mode_state(Mode mode, GuestPhysical entry, GuestPhysical boot_info) {
  svm::Vmsa state = common_state(mode, entry);
  state.cs = flat(code64_selector, code_type | attribute::long_mode);
  state.efer = state.efer | x86::efer::lme | x86::efer::lma;
  state.cr0 = x86::cr0::pe | x86::cr0::et | x86::cr0::pg;
  state.cr4 = x86::cr4::pae;
  state.cr3 = low::page_tables.value();
  state.rsi = boot_info.value();
  return state;
}

svm::Vmsa protected_mode_state(Mode mode, GuestPhysical entry, GuestPhysical boot_info) {
  svm::Vmsa state = common_state(mode, entry);
  state.cs = flat(code32_selector, code_type | attribute::default_big);
  state.cr0 = x86::cr0::pe | x86::cr0::et;
  state.rax = boot::multiboot::entry_magic;
  state.rbx = boot_info.value();
  return state;
}

svm::Vmsa ap_state(Mode mode) {
  svm::Vmsa state = common_state(mode, GuestPhysical(0xFFF0));
  const svm::SegmentRegister data{0, data_type | attribute::code_or_data | attribute::present,
                                  real_mode_limit, 0};
  state.es = data;
  state.ss = data;
  state.ds = data;
  state.fs = data;
  state.gs = data;
  state.cs = data;
  state.cs.attributes = code_type | attribute::code_or_data | attribute::present;
  state.cs.selector = 0xF000;
  state.cs.base = 0xFFFF0000;
  state.gdtr = {0, 0, real_mode_limit, 0};
  state.idtr = {0, 0, real_mode_limit, 0};
  state.cr0 = x86::cr0::et;
  if (mode == Mode::sev_es) {
    state.cs.selector = static_cast<u16>(low::boot_code.value() >> 4);
    state.cs.base = low::boot_code.value();
    state.rip = guest::sev_es_ap_entry();
  }
  return state;
}

static_assert(guest::ap_jump_table == low::ap_jump_table);

svm::Vmsa through_boot_code(const svm::Vmsa& entry) {
  svm::Vmsa state = entry;
  state.rip = low::boot_code.value();
  state.rdi = entry.rip;
  state.rbx = low::boot_ghcb.value();
  state.rbp = low::ap_jump_table.value();
  state.r8 = window_entry.value();
  state.r9 = window_address;
  state.r10 = window_on_first_ram;
  return state;
}

std::vector<u8> descriptor_table() {
  std::vector<u8> bytes(sizeof descriptors);
  for (usize i = 0; i < std::size(descriptors); ++i) {
    store_le(&bytes[i * sizeof(u64)], descriptors[i]);
  }
  return bytes;
}

}  // namespace softsnp::image

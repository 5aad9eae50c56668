#include "bench/machine/cpu/bare_core.hpp"

#include <limits>

#include "base/bytes.hpp"
#include "machine/cpu/exec/engine.hpp"

namespace softsnp::bench {
namespace {

using namespace x86;

constexpr u64 mib = u64{1} << 20;
constexpr u64 dram_bytes = 128 * mib;
constexpr u64 guest_bytes = 64 * mib;  // [0, guest_bytes)
constexpr u64 code_at = 1 * mib;
constexpr u64 return_at = code_at + 64 * 1024;  // UD2: where a loop returns to
constexpr u64 stack_top = 3 * mib;
constexpr u64 guest_tables = 4 * mib;
constexpr u64 nested_tables = guest_bytes;
constexpr u64 rmp_at = 96 * mib;
constexpr Asid guest_asid{5};

}  // namespace

BareCore::BareCore(const Translations& translations)
    : translations_(translations),
      dram_(dram_bytes),
      rmp_(dram_),
      core_(std::make_unique<cpu::Core>()),
      code_(dram_),
      mmu_(std::make_unique<cpu::Mmu>(dram_, rmp_, code_)),
      builder_(*mmu_) {
  core_->memory = mmu_.get();
  const bool guest = translations.paging != Paging::host;
  cpu::GuestContext& context = mmu_->guest();
  context.guest = context.nested_paging = guest;
  context.sev = context.sev_es = context.snp = translations.paging == Paging::snp;
  context.asid = guest ? guest_asid : Asid::host;
  context.nested_cr3 = SystemPhysical(nested_tables);
  const bool encrypted = translations.paging == Paging::snp;
  write_tables(guest_tables, encrypted ? bit(cpu::c_bit_position) : 0, key());
  if (guest) {
    write_tables(nested_tables, 0, memory::KeyId::none);
  }
  if (encrypted) {
    write_rmp();
  }
  const std::span<const u8> code = loop_code();
  dram_.write(SystemPhysical(code_at), key(), code);
  constexpr u8 undefined[] = {0x0F, 0x0B};
  dram_.write(SystemPhysical(return_at), key(), undefined);
  enter_long_mode();
}

memory::KeyId BareCore::key() const {
  return translations_.paging == Paging::snp ? memory::key_of(guest_asid) : memory::KeyId::none;
}

void BareCore::put(u64 at, u64 value, memory::KeyId key) {
  u8 bytes[8];
  store_le(bytes, value);
  dram_.write(SystemPhysical(at), key, bytes);
}

// PML4, PDPT, page directory, and page tables behind them: all of the guest's memory onto itself.
void BareCore::write_tables(u64 base, u64 c_bit, memory::KeyId with) {
  const bool large = translations_.size == PageSize::size_2m;
  const u64 flags = pte::present | pte::write | pte::user | c_bit;
  put(base, (base + page_size) | flags, with);
  put(base + page_size, (base + 2 * page_size) | flags, with);
  for (u64 i = 0; i < guest_bytes / large_page_size; ++i) {
    const u64 page_table = base + (3 + i) * page_size;
    const u64 entry = large ? (i * large_page_size) | pte::large : page_table;
    put(base + 2 * page_size + 8 * i, entry | flags, with);
    for (u64 j = 0; !large && j < 512; ++j) {
      put(page_table + 8 * j, (i * large_page_size + j * page_size) | flags, with);
    }
  }
}

void BareCore::write_rmp() {
  rmp_.set_range(SystemPhysical(rmp_at), SystemPhysical(rmp_at + snp::rmp_bookkeeping_bytes +
                                                        dram_bytes / page_size * 16 - 1));
  rmp_.set_enabled(true);
  for (u64 at = 0; at < guest_bytes; at += bytes(translations_.size)) {
    snp::RmpEntry entry;
    entry.set_assigned(true);
    entry.set_size(translations_.size);
    entry.set_asid(guest_asid);
    entry.set_gpa(GuestPhysical(at));
    entry.set_validated(true);
    entry.set_permissions(Vmpl::vmpl0, snp::permission::all);
    rmp_.write_page(SystemPhysical(at), translations_.size, entry, {});
  }
}

void BareCore::enter_long_mode() {
  cpu::CoreState& state = core_->state;
  state.cr0 = cr0::pe | cr0::pg | cr0::wp | cr0::ne | cr0::et;
  state.cr4 = cr4::pae | cr4::osfxsr;
  state.efer = efer::lme | efer::lma | efer::nxe;
  state.cr3 = guest_tables;
  state.seg[static_cast<unsigned>(Segment::cs)].attributes = svm::attribute::long_mode;
  mmu_->mode_changed(*core_);
  mmu_->flush_all(*core_);
}

void BareCore::fill(const u8* bytes, u64 size) {
  dram_.write(SystemPhysical(memory_at), key(), std::span(bytes, size));
}

// As machine/cpu/processor.cpp does it.
cpu::Block* BareCore::next_block() {
  cpu::Core& core = *core_;
  cpu::Link* link = core.stop_link;
  core.stop_link = nullptr;
  cpu::JumpEntry& entry = core.jumps[cpu::jump_index(core.state.rip)];
  if (entry.rip != core.state.rip || entry.context != core.context) {
    cpu::Block* block = builder_.block_at(core);
    if (block == nullptr) {
      return nullptr;
    }
    entry.rip = core.state.rip;
    entry.context = core.context;
    entry.block = block;
  }
  if (link != nullptr) {
    *link = {core.context, entry.block};
  }
  return entry.block;
}

BareCore::Answer BareCore::call(Loop loop, u64 count) {
  cpu::Core& core = *core_;
  cpu::CoreState& state = core.state;
  put(stack_top - 8, return_at, key());
  state.rip = code_at + offset_of(loop);
  state.gpr[static_cast<unsigned>(Gpr::rsp)] = stack_top - 8;
  state.gpr[static_cast<unsigned>(Gpr::rdi)] = memory_at;
  state.gpr[static_cast<unsigned>(Gpr::rsi)] = count;
  core.budget = core.budget_start = std::numeric_limits<i64>::max();
  core.stop = cpu::Stop::none;
  core.stop_link = nullptr;
  do {
    mmu_->catch_up(core);
    cpu::Block* block = next_block();
    if (block == nullptr) {
      return {};
    }
    cpu::run(core, block);
  } while (core.stop == cpu::Stop::need_block);
  return {core.stop == cpu::Stop::fault && state.rip == return_at,
          state.gpr[static_cast<unsigned>(Gpr::rax)],
          static_cast<u64>(core.budget_start - core.budget)};
}

}  // namespace softsnp::bench

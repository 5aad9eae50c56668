// One core as the executor sees it: architectural state, translation caches, run control.
#pragma once

#include "machine/cpu/exec/op.hpp"
#include "machine/cpu/exec/state.hpp"

namespace softsnp::cpu {

enum class Access : u8 { read, write, fetch };

// Why the executor came back.
enum class Stop : u8 {
  none,
  need_block,  // no decoded block known for state.rip; link (may be null) wants the answer
  budget,      // the instruction budget is used up; state.rip is the next instruction
  fault,       // fault is set; state.rip is the faulting instruction, nothing of it happened
  system,      // system_op at state.rip is for machine/cpu/system
  event,       // an interrupt window or pending event must be looked at; state.rip is next
};

enum class FaultKind : u8 {
  none,
  exception,      // vector, error_code, address (CR2 for #PF)
  nested,         // nested page fault: error_code = EXITINFO1, address = gPA (EXITINFO2)
  not_validated,  // SNP: page not validated, #VC 404h; address = gVA (CR2)
};

struct Fault {
  FaultKind kind = FaultKind::none;
  u8 vector = 0;
  bool has_error = false;
  u64 error_code = 0;
  u64 address = 0;
  u64 linear = 0;  // gVA whose translation failed, for explanations
};

// A cached translation of one 4 KiB page for data. A tag is the page's linear address, or ~0.
// Host pointer = linear + addend. read/write tags differ where only one is permitted directly.
struct TlbEntry {
  u64 read_tag = ~u64{0};
  u64 write_tag = ~u64{0};
  u64 addend = 0;
  u64 frame = 0;  // sPA page number behind it, for invalidation; with global_flag
  static constexpr u64 global_flag = u64{1} << 63;
  u64 page_number() const { return frame & ~global_flag; }
};
static_assert(sizeof(TlbEntry) == 32);

inline constexpr unsigned tlb_bits = 10;
inline constexpr unsigned tlb_entries = 1u << tlb_bits;
// Data TLBs by privilege: a supervisor with SMAP in force, without, and the user.
enum class TlbMode : u8 { supervisor, supervisor_user_access, user };
inline constexpr unsigned tlb_mode_count = 3;

inline constexpr unsigned tlb_index(u64 linear) {
  return static_cast<unsigned>(linear >> page_shift) & (tlb_entries - 1);
}

struct JumpEntry {
  u64 rip = 0;
  u64 context = 0;
  Block* block = nullptr;
  u64 unused = 0;
};
inline constexpr unsigned jump_cache_bits = 12;
inline constexpr unsigned jump_index(u64 rip) {
  return static_cast<unsigned>(rip ^ (rip >> jump_cache_bits)) & ((1u << jump_cache_bits) - 1);
}

// What the executor asks of memory when its TLB has no answer. One implementation is the MMU
// (machine/cpu/mmu); tests answer with a plain map.
class MemoryPort {
 public:
  virtual ~MemoryPort() = default;
  // Host pointer for an access of size bytes at linear, all within one 4 KiB page; null: core.fault
  // is set. The pointer is good for this access only. A write may be assumed to happen: code
  // decoded from those bytes is dropped. Fills the core's TLB where later accesses may go direct.
  virtual u8* translate(Core& core, u64 linear, u32 size, Access access) = 0;
  // Whether a pointer outlives the next translation, unless that changes its frame's form.
  virtual bool keeps_pointers() const { return true; }
  // translate() for who only copies size bytes at once: the pointer may lead to a stand-in.
  virtual u8* reach(Core& core, u64 linear, u32 size, Access access) {
    return translate(core, linear, size, access);
  }
};

struct Counters {
  u64 blocks_built = 0, lookups = 0, tlb_fills = 0, tlb_flushes = 0, code_invalidations = 0;
  u64 memory_operands = 0;  // of the blocks entered; counted only if the block builder is told to
};

// Code mode, low byte of Core::context and part of a block's key.
namespace code_mode {
inline constexpr u32 size16 = 0, size32 = 1, size64 = 2, size_mask = 3;
inline constexpr u32 user = 4;     // CPL 3
inline constexpr u32 stack32 = 8;  // SS.B, legacy modes
// Supervisor code with CR4.PGE: links are made between global pages only, and survive a flush of
// the others.
inline constexpr u32 global_code = 16;
}  // namespace code_mode

struct Core {
  CoreState state;

  // Hot run control.
  i64 budget = 0;        // instructions that may still retire before Stop::budget
  i64 budget_start = 0;  // at the start of this run: retired = base + start - budget
  u64 retired_base = 0;
  // generation << 24 | number << 8 | code mode; a change makes links and jumps stale. Blocks, and
  // so their links, are shared by the cores of a machine: contexts of two cores never agree.
  u64 context = u64{1} << 24;
  u16 number = 0;  // of the core in its machine
  u64 generation_all = 1, generation_local = 1;
  Block* block = nullptr;
  TlbEntry* tlb = nullptr;  // of the current TlbMode
  // Bases of the segments as effective-address formation adds them: in 64-bit code 0 for
  // ES, CS, SS, DS.
  u64 seg_base[x86::segment_count] = {};

  Stop stop = Stop::none;
  Fault fault;
  const Op* stop_op = nullptr;
  Link* stop_link = nullptr;
  // Set by whoever raises an event between instructions that must be seen soon (pending virtual
  // interrupt while IF = 0, ...): instructions that open a window then stop with Stop::event.
  bool event_pending = false;
  // POPF, PUSHF, STI, CLI and the like take the slow way (intercepts, v8086, IOPL < CPL...).
  bool flags_instructions_slow = false;
  // PAUSE is intercepted or counted: it goes to machine/cpu/system.
  bool pause_slow = false;
  // Where the slow forms of load and store put what they return (machine/cpu/exec/memory.hpp).
  bool slow_done = false;
  alignas(16) u64 slow_value[2] = {};

  MemoryPort* memory = nullptr;
  Counters counters;

  TlbEntry tlbs[tlb_mode_count][tlb_entries];
  JumpEntry jumps[1u << jump_cache_bits];

  // Instructions retired up to the start of op in the current block.
  u64 retired_at(const Op* op) const {
    const u64 ran = static_cast<u64>(budget_start - budget) - block->instruction_count;
    return retired_base + ran + block->info[op - block->ops].retired_before;
  }
  // Makes every link and jump entry stale (translation or code changed).
  void bump_generation() {
    ++generation_all;
    ++generation_local;
    set_code_mode(static_cast<u32>(context));
  }
  // Non-global translations changed: code that runs from global pages keeps its links.
  void bump_local_generation() {
    ++generation_local;
    set_code_mode(static_cast<u32>(context));
  }
  void set_code_mode(u32 mode) {
    const u64 generation = (mode & code_mode::global_code) != 0 ? generation_all : generation_local;
    context = generation << 24 | u64{number} << 8 | (mode & 0xFF);
  }
};

}  // namespace softsnp::cpu

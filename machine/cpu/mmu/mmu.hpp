// Translation of linear addresses: guest paging, nested paging, RMP, keys; the TLBs' filler.
// APM2 chapter 5, 15.25, 15.34, 15.36; hardware sheet 2, 5.
#pragma once

#include "arch/snp/features.hpp"
#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/mmu/code_store.hpp"
#include "machine/cpu/mmu/denial.hpp"
#include "machine/cpu/mmu/guest_context.hpp"
#include "machine/cpu/mmu/store_watch.hpp"
#include "machine/memory/dram/dram.hpp"
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::cpu {

inline constexpr unsigned c_bit_position = snp::c_bit;

// A completed translation.
struct Translation {
  GuestPhysical gpa;  // C-bit stripped; equals spa where no nested paging is on
  SystemPhysical spa;
  bool encrypted = false;  // effective C-bit of the access
  memory::KeyId key = memory::KeyId::none;
  // Leaf whose size the RMP check uses (1G counts as 2M): nested leaf, or the host's own.
  PageSize mapping_size = PageSize::size_4k;
  bool writable = false;  // a write by the same asker needs no further table update or check
  bool user = false;      // guest tables: U/S of the mapping
  bool global = false;
};

// Which rights an access is made with.
enum class Rights : u8 {
  user,        // CPL 3
  supervisor,  // CPL 0..2, explicit
  implicit,    // supervisor, on the processor's own account: SMAP applies whatever AC says
};

class Mmu final : public MemoryPort {
 public:
  // All outlive the MMU; code is shared by the cores of a machine.
  Mmu(memory::Dram& dram, memory::Rmp& rmp, CodeStore& code)
      : dram_(dram), rmp_(rmp), code_(code) {}

  // Set by VMRUN and #VMEXIT; call mode_changed() after a change.
  GuestContext& guest() { return guest_; }
  const GuestContext& guest() const { return guest_; }
  BlockCache& blocks() { return code_.blocks(); }
  memory::Rmp& rmp() { return rmp_; }
  memory::Dram& dram() { return dram_; }

  // MemoryPort: data access with the core's privilege; all checks; fills the TLB.
  u8* translate(Core& core, u64 linear, u32 size, Access access) override;
  bool keeps_pointers() const override { return !dram_.has_bus_layer(); }
  u8* reach(Core& core, u64 linear, u32 size, Access access) override;
  // For observers: stores to the frame are told from now on; and who hears of them.
  void watch_stores(SystemPhysical page);
  void set_store_listener(StoreListener* listener) { store_watch_.set_listener(listener); }
  // For explanations.
  const Denial& last_denial() const { return denial_; }

  // Code at linear (CS base added): host pointer to it, good to the end of its page, and its
  // sPA, all fetch checks done; null: core.fault is set.
  const u8* fetch(Core& core, u64 linear, SystemPhysical& at);

  // The page of the last fetch() is mapped global.
  bool fetched_global() const { return fetched_global_; }

  // Guest paging and nested paging for an access with the core's rights, A/D bits set, without
  // RMP checks of the final page (the RMP instructions do their own) and without filling the TLB.
  // False: core.fault is set.
  bool walk(Core& core, u64 linear, Access access, Translation& out);

  // Implicit supervisor accesses (descriptor tables, TSS, IDT, stacks of an exception delivery).
  // False: core.fault is set; a write that fails has written nothing.
  bool read_system(Core& core, u64 linear, void* to, u32 size);
  bool write_system(Core& core, u64 linear, const void* from, u32 size);

  // sPA access of VMSA and VMCB pages by the core itself, under the given key.
  u8* frame(SystemPhysical page, memory::KeyId key) { return dram_.frame(page.page(), key); }

  // TLB upkeep. Each makes links, jumps and cached fetch translations stale.
  void flush_all(Core& core);               // also nested translations
  void flush_non_global(Core& core);        // MOV CR3, CR4.PGE = 1
  void flush_page(Core& core, u64 linear);  // INVLPG
  // CPL, CR0, CR4, EFER, RFLAGS.AC/VM, CS, a segment base or the guest context changed: picks the
  // TLB for data accesses, the code mode, the segment bases of EA formation; flushes if paging
  // itself changed.
  void mode_changed(Core& core);
  // With a bus layer present accesses go through a buffer; this hands the last write on to the
  // layer, and the first writes to a fresh frame to the frame, and tells of a watched store. Called
  // before the next access and when the executor stops.
  void settle() {
    if (unsettled_) [[unlikely]] {
      settle_slow();
    }
  }
  // Drops what the invalidation log says is stale; cheap when nothing changed.
  void catch_up(Core& core) {
    if (log_seen_ != dram_.log().number()) {
      catch_up_slow(core);
    }
  }

 private:
  struct NestedEntry {
    u64 gpa_page = ~u64{0};
    SystemPhysical spa;  // of the 4 KiB page
    PageSize size = PageSize::size_4k;
    bool writable = false;  // and its dirty bit is set
    bool executable = false;
    bool host_encrypted = false;  // C-bit of the nested leaf
    bool table_allowed = false;   // the RMP let a guest table walk through
  };
  struct FetchEntry {
    u64 linear_page = ~u64{0};
    u64 context = 0;
    SystemPhysical spa;
    const u8* host = nullptr;
    bool global = false;
  };
  struct GuestWalk;  // guest_walk.cpp
  struct PagingKey {
    u64 cr0 = 0, cr4 = 0, efer = 0;
    GuestContext guest;
    friend bool operator==(const PagingKey&, const PagingKey&) = default;
  };
  enum class Purpose : u8 { final_page, table };

  void catch_up_slow(Core& core);
  void settle_slow();
  void note_watched_write(Core& core, SystemPhysical at, u32 size);
  u8* through_bus_layer(const Translation& t, u32 size, Access access);
  u8* copy_of(const Translation& t, u32 size);
  void drop_frames(Core& core, u64 first, u64 count);
  void end_direct_writes(Core& core, u64 page_number);
  void apply(Core& core, const memory::Invalidation& change);
  void clear_tlbs(Core& core, bool keep_global);

  // nested_walk.cpp
  bool nested(Core& core, GuestPhysical gpa, Access access, Purpose purpose, bool encrypted,
              NestedEntry& out);
  bool nested_walk(Core& core, GuestPhysical gpa, Access access, Purpose purpose, bool encrypted,
                   NestedEntry& out);
  bool nested_fault(Core& core, GuestPhysical gpa, Access access, Purpose purpose, bool encrypted,
                    u64 bits);
  u8* host_table(SystemPhysical at);
  memory::Asker asker() const;
  memory::KeyId key_for(bool encrypted, bool host_encrypted) const;

  // guest_walk.cpp
  u8* guest_table(Core& core, GuestPhysical at);
  bool guest_walk(Core& core, u64 linear, Access access, Rights rights, Translation& out);
  bool page_fault(Core& core, u64 linear, Access access, Rights rights, u64 bits);
  bool finish(Core& core, u64 linear, Access access, const GuestWalk& walk, Translation& out);

  // Asks the RMP and remembers a refusal.
  memory::Rule ask(const Core& core, u64 linear, const memory::AccessRequest& request);
  bool check_rmp(Core& core, u64 linear, Access access, Rights rights, const Translation& t);
  bool write_allowed_too(Core& core, const Translation& t, Rights rights) const;
  // What an access wants of its page.
  enum class Want : u8 {
    pointer,  // and the TLB filled
    bytes,    // the same, or one to a copy that is good to the next settle()
    once,     // a pointer for this access only
  };
  u8* access_page(Core& core, u64 linear, u32 size, Access access, Rights rights, Want want);
  TlbEntry& fill(Core& core, u64 linear, bool writable, const Translation& t, u8* host);
  u8* begin_first_write(Core& core, u64 linear, const Translation& t);
  void end_first_write();
  Rights rights_of(const Core& core) const {
    return core.state.cpl == 3 ? Rights::user : Rights::supervisor;
  }

  memory::Dram& dram_;
  memory::Rmp& rmp_;
  CodeStore& code_;
  GuestContext guest_;
  PagingKey paging_;
  Denial denial_;
  u64 log_seen_ = 0;
  static constexpr unsigned nested_entries = 2048;
  NestedEntry nested_[nested_entries];
  static constexpr unsigned fetch_entries = 256;
  FetchEntry fetch_[fetch_entries];
  bool fetched_global_ = false;
  // Stands between a core and a bus layer (machine/memory/dram/bus_layer.hpp), or a frame whose
  // form a glance does not change.
  alignas(page_size) u8 bus_buffer_[page_size];
  SystemPhysical bus_write_at_;
  memory::KeyId bus_write_key_ = memory::KeyId::none;
  u32 bus_write_size_ = 0;
  // A fresh frame, written here until the next settle(): mostly that shows zeros, and the frame
  // stays fresh (memory::Dram::first_write()).
  struct FirstWrite {
    SystemPhysical page;
    memory::KeyId key = memory::KeyId::none;
    TlbEntry* entry = nullptr;  // null: none under way
  };
  FirstWrite first_write_;
  alignas(page_size) u8 first_bytes_[page_size];
  bool unsettled_ = false;
  StoreWatch store_watch_;
  // What an sPA without DRAM reads as; writes to it vanish.
  alignas(page_size) u8 open_bus_[page_size];
};

}  // namespace softsnp::cpu

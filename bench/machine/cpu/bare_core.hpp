// A core with memory and paging and nothing else: enough to call a loop (loops.hpp) in 64-bit
// supervisor mode, without a hypervisor around it.
#pragma once

#include <memory>

#include "bench/machine/cpu/loop_code.hpp"
#include "machine/cpu/block_builder.hpp"

namespace softsnp::bench {

// What stands between a linear address and DRAM.
enum class Paging : u8 {
  host,    // one set of tables, no guest
  nested,  // guest tables and nested tables
  snp,     // the same for an SNP guest: all of its memory encrypted, validated and RMP-checked
};

struct Translations {
  Paging paging = Paging::host;
  PageSize size = PageSize::size_2m;  // leaves of all tables, and pages in the RMP
};

class BareCore {
 public:
  // Linear, guest-physical and system-physical addresses are the same.
  static constexpr u64 memory_at = u64{16} << 20;
  static constexpr u64 memory_bytes = u64{40} << 20;

  explicit BareCore(const Translations& translations = {});

  // The loop's memory, as the guest sees it; good until the frame's form changes.
  void fill(const u8* bytes, u64 size);
  struct Answer {
    bool returned = false;
    u64 result = 0;
    u64 instructions = 0;
  };
  Answer call(Loop loop, u64 count);

  cpu::Core& core() { return *core_; }
  cpu::Mmu& mmu() { return *mmu_; }

 private:
  void put(u64 at, u64 value, memory::KeyId key);
  void write_tables(u64 base, u64 c_bit, memory::KeyId with);
  void write_rmp();
  void enter_long_mode();
  cpu::Block* next_block();
  memory::KeyId key() const;

  Translations translations_;
  memory::Dram dram_;
  memory::Rmp rmp_;
  std::unique_ptr<cpu::Core> core_;
  cpu::CodeStore code_;
  std::unique_ptr<cpu::Mmu> mmu_;
  cpu::BlockBuilder builder_;
};

}  // namespace softsnp::bench

// The translations of the direct map that the host has used lately. It spares the walk, and its
// misses are what a policy of the direct map costs the host: the more small mappings, the more of
// them. A model: direct-mapped, as many entries for each size as Zen 4's second-level data TLB has
// for all (3072, rounded down to a power of two), and what is said of 1 GiB pages is true of it:
// they are held among few.
#pragma once

#include <array>
#include <vector>

#include "hypervisor/host/direct_map_tables.hpp"

namespace softsnp::host {

class HostTlb {
 public:
  // The size of the mapping of `at`; nullptr: miss.
  const MappingSize* find(SystemPhysical at) {
    for (const MappingSize& size : sizes) {
      if (sets_[index(size)][slot(at, size)] == tag(at, size)) {
        return &size;
      }
    }
    ++misses_;
    return nullptr;
  }
  void insert(SystemPhysical at, MappingSize size) {
    sets_[index(size)][slot(at, size)] = tag(at, size);
  }
  void flush() {
    for (auto& set : sets_) {
      std::fill(set.begin(), set.end(), 0);
    }
  }
  u64 misses() const { return misses_; }

 private:
  static constexpr std::array<MappingSize, 3> sizes{MappingSize::size_4k, MappingSize::size_2m,
                                                    MappingSize::size_1g};
  static constexpr std::array<usize, 3> entries{2048, 2048, 16};
  static constexpr usize index(MappingSize size) { return static_cast<usize>(size); }
  static usize slot(SystemPhysical at, MappingSize size) {
    return at.value() / bytes(size) % entries[index(size)];
  }
  static u64 tag(SystemPhysical at, MappingSize size) { return at.value() / bytes(size) + 1; }

  std::array<std::vector<u64>, 3> sets_{std::vector<u64>(entries[0]), std::vector<u64>(entries[1]),
                                        std::vector<u64>(entries[2])};  // 0: empty
  u64 misses_ = 0;
};

}  // namespace softsnp::host

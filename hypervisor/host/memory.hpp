// The host kernel's own memory: pages by the allocator, contents by loads and stores through the
// direct map. Free pages are always zero: they start so and are cleared when they come back.
#pragma once

#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "arch/address.hpp"
#include "base/result.hpp"
#include "hypervisor/host/direct_map.hpp"
#include "hypervisor/host/error.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::host {

// May refuse an allocation: how a test makes memory run out at a chosen moment.
class AllocationGate {
 public:
  virtual ~AllocationGate() = default;
  virtual bool allows(PageSize size) = 0;
};

class HostMemory {
 public:
  // A page that could not be taken back (Linux: snp_leak_pages). It is never used again.
  struct LeakedPage {
    SystemPhysical page;
    PageSize size = PageSize::size_4k;
  };

  explicit HostMemory(machine::HostPort& port, const DirectMapConfig& direct_map = {});

  // Zero-filled. nullopt: no memory.
  std::optional<SystemPhysical> allocate(PageSize size);
  std::optional<SystemPhysical> allocate_within(PageSize size, const PageAllocator::Range& where);
  // Pages that lie side by side, at most 512; also zero-filled.
  std::optional<SystemPhysical> allocate_contiguous(unsigned pages);
  // The page must be hypervisor-owned; one that the RMP still protects is leaked.
  void release(SystemPhysical page, PageSize size);
  // Counts once.
  void leak(SystemPhysical page, PageSize size);
  u64 leaked_pages() const;

  // All of them through the direct map, whose word on faults they return.
  Result<void, machine::HostFault> load(SystemPhysical at, std::span<u8> to) {
    return direct_map_.load(at, to);
  }
  Result<void, machine::HostFault> store(SystemPhysical at, std::span<const u8> from) {
    return direct_map_.store(at, from);
  }
  Result<void, machine::HostFault> clear_page(SystemPhysical page) {
    return direct_map_.clear_page(page);
  }
  // For pages of our own that no guest can have: a fault is a broken invariant.
  void load_own(SystemPhysical at, std::span<u8> to);
  void store_own(SystemPhysical at, std::span<const u8> from);
  template <class T>
  T load_value(SystemPhysical at) {
    T value;
    load_own(at, {reinterpret_cast<u8*>(&value), sizeof value});
    return value;
  }
  template <class T>
  void store_value(SystemPhysical at, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    store_own(at, {reinterpret_cast<const u8*>(&value), sizeof value});
  }

  machine::HostPort& port() { return port_; }
  DirectMap& direct_map() { return direct_map_; }
  const DirectMap& direct_map() const { return direct_map_; }
  const std::vector<LeakedPage>& leaked() const { return leaked_; }
  u64 free_pages() const { return allocator_.free_pages(); }
  // May be null; outlives the HostMemory or is taken back.
  void set_gate(AllocationGate* gate) { gate_ = gate; }

 private:
  machine::HostPort& port_;
  PageAllocator allocator_;
  DirectMap direct_map_;
  std::vector<LeakedPage> leaked_;
  AllocationGate* gate_ = nullptr;
};

}  // namespace softsnp::host

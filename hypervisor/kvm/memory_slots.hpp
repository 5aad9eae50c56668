// Memory slots: which host-virtual addresses, and which part of a guest_memfd, are behind guest
// memory; KVM's rules for changing them. Linux virt/kvm/kvm_main.c, __kvm_set_memory_region().
#pragma once

#include <memory>
#include <vector>

#include "hypervisor/kvm/guest_memfd.hpp"
#include "hypervisor/kvm/kvm.hpp"

namespace softsnp::kvm {

struct MemorySlot {
  u32 id = 0;
  u32 flags = 0;
  GuestPhysical first;
  u64 bytes = 0;
  HostVirtual address;
  GuestMemfd* memfd = nullptr;  // null: no private memory
  u64 memfd_offset = 0;
  std::vector<u64> dirty;  // a bit a page while dirty pages are logged

  GuestPhysical end() const { return first + bytes; }
  bool contains(GuestPhysical gpa) const { return gpa >= first && gpa - first < bytes; }
  // The whole 2 MiB frame around page lies in the slot.
  bool contains_frame(GuestPhysical page) const {
    const GuestPhysical base = page.large_page();
    return base >= first && base - first + large_page_size <= bytes;
  }
  HostVirtual address_of(GuestPhysical page) const { return address + (page - first); }
  u64 offset_of(GuestPhysical page) const { return memfd_offset + (page - first); }
  // 2 MiB frames of the guest are 2 MiB frames of what is behind them.
  bool large_shared() const { return is_aligned(address.value() ^ first.value(), large_page_size); }
  bool large_private() const { return is_aligned(memfd_offset ^ first.value(), large_page_size); }
  bool has(u32 flag) const { return (flags & flag) != 0; }
};

class MemorySlots {
 public:
  enum class Change : u8 { create, remove, move, flags, nothing };

  // What the region asks for; nothing has changed yet. Whether its guest_memfd exists and fits is
  // the caller's question.
  Result<Change, Error> check(const UserMemoryRegion& region, VmType type) const;

  MemorySlot* find(GuestPhysical gpa);
  const MemorySlot* find(GuestPhysical gpa) const;
  MemorySlot* by_id(u32 id);
  const MemorySlot* by_id(u32 id) const;
  void add(MemorySlot slot);
  void remove(u32 id);
  void move(u32 id, GuestPhysical to);

  // Ascending.
  const std::vector<std::unique_ptr<MemorySlot>>& all() const { return slots_; }

 private:
  bool overlaps(u32 except, GuestPhysical first, GuestPhysical end) const;
  void sort();

  std::vector<std::unique_ptr<MemorySlot>> slots_;  // by gPA
};

}  // namespace softsnp::kvm

// The memory part of KVM's API, and what the host kernel does for the memory of a VMM's process
// beside KVM. VMMs get it through kvm.hpp.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/address.hpp"
#include "base/result.hpp"
#include "hypervisor/host/move_report.hpp"

namespace softsnp::kvm {

struct Error {
  int number = 0;    // errno
  u16 firmware = 0;  // AMD-SP status if a firmware command failed (firmware sheet 1.2), else 0
  std::string what;  // one line for people
};

// KVM_MEM_*.
namespace slot_flag {
inline constexpr u32 log_dirty_pages = 1, readonly = 2, guest_memfd = 4;
}

// struct kvm_userspace_memory_region2.
struct UserMemoryRegion {
  u32 slot = 0;
  u32 flags = 0;
  GuestPhysical gpa;
  u64 size = 0;  // 0 deletes the slot
  HostVirtual address;
  // With slot_flag::guest_memfd.
  u32 guest_memfd = 0;
  u64 guest_memfd_offset = 0;
};

// When the pages of a VM with encrypted memory are pinned.
enum class PinPolicy : u8 {
  registered_regions,  // KVM_MEMORY_ENCRYPT_REG_REGION, as KVM has it
  // When a slot is made, until it is deleted: too short for memory that a guest sees again later.
  // Registering regions does nothing.
  memory_slots
};

using host::MoveReport;

struct RamBlock {
  HostVirtual first;
  u64 bytes = 0;
  friend bool operator==(const RamBlock&, const RamBlock&) = default;
};

struct ProcessMemoryReport {
  // In pages of 4 KiB.
  u64 free = 0;  // of the host
  u64 user = 0, guest_memfd = 0, pinned = 0, swapped = 0;
  MoveReport moves;  // since the host started
};

// Memory of the VMM's process, and the host's movers of pages, which work only when told to.
class ProcessMemory {
 public:
  virtual ~ProcessMemory() = default;

  // mmap and munmap: blocks of whole pages, zero-filled on demand; the address is a multiple of
  // 2 MiB. EINVAL, ENOMEM.
  virtual Result<HostVirtual, Error> map(u64 bytes) = 0;
  virtual Result<void, Error> unmap(HostVirtual first) = 0;
  // The process's own loads and stores, RMP-checked like all of the host's. EFAULT.
  virtual Result<void, Error> read(HostVirtual at, std::span<u8> to) = 0;
  virtual Result<void, Error> write(HostVirtual at, std::span<const u8> from) = 0;
  virtual std::vector<RamBlock> blocks() const = 0;

  // Every page that may move goes to the lowest free address.
  virtual MoveReport compact() = 0;
  // To NUMA node 0 or 1: the lower and the upper half of DRAM.
  virtual MoveReport migrate(RamBlock range, unsigned node) = 0;
  virtual MoveReport swap_out(RamBlock range) = 0;
  virtual MoveReport swap_in(RamBlock range) = 0;
  // Pages of the same content become one, until somebody writes.
  virtual MoveReport merge(std::span<const RamBlock> ranges) = 0;
  virtual ProcessMemoryReport report() const = 0;
};

}  // namespace softsnp::kvm

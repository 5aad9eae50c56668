// A VM's memory on the fake port, its RAM in a block of the VMM's, and what hardware would find.
#pragma once

#include <gtest/gtest.h>

#include <cerrno>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/guest_memory.hpp"
#include "lab/nested_lookup.hpp"
#include "tests/hypervisor/fake_port.hpp"

namespace softsnp::kvm {

struct SlotFixture {
  static constexpr u64 mib = u64{1} << 20;
  static constexpr u64 private_access = snp::npf::enc;
  static constexpr u64 read_access = x86::pf_error::user;
  static constexpr u64 write_access = x86::pf_error::user | x86::pf_error::write;

  explicit SlotFixture(VmType vm_type, PinPolicy policy = PinPolicy::registered_regions,
                       host::UserMemoryConfig config = {}, u64 dram = 64 * mib)
      : type(vm_type),
        port(dram),
        host(port, {}, config),
        ram(host.users.map(16 * mib).value()),
        memory(std::in_place, host, VmConfig{vm_type, nullptr, 0, policy}, observer, counters) {
    memory->set_asid(static_cast<Asid>(5));
  }

  UserMemoryRegion region(u32 slot, u64 gpa, u64 size, u64 offset = 0) const {
    UserMemoryRegion made;
    made.slot = slot;
    made.gpa = GuestPhysical(gpa);
    made.size = size;
    made.address = ram + offset;
    return made;
  }
  int set(const UserMemoryRegion& wanted) {
    const auto done = memory->set_region(wanted);
    return done ? 0 : done.error().number;
  }
  int remove(u32 slot) { return set(region(slot, 0, 0)); }
  NpfResolution fault(u64 gpa, u64 info = write_access) {
    return memory->handle_fault(GuestPhysical(gpa), info).resolution;
  }
  std::optional<lab::NestedLeaf> leaf(u64 gpa) {
    return lab::find_leaf(port, memory->root(), GuestPhysical(gpa));
  }
  bool writable(u64 gpa) { return (leaf(gpa)->value & x86::pte::write) != 0; }
  void put(u64 gpa, u8 value) {
    EXPECT_TRUE(memory->write_shared(GuestPhysical(gpa), {&value, 1}).ok());
  }
  int get(u64 gpa) {
    u8 value = 0;
    return memory->read_shared(GuestPhysical(gpa), {&value, 1}).ok() ? value : -1;
  }

  VmType type;
  test::FakePort port;
  host::HostKernel host;
  Observer observer;
  Counters counters;
  HostVirtual ram;
  std::optional<GuestMemory> memory;
};

}  // namespace softsnp::kvm

// Memory that is hidden from an encrypted guest for a while and shown again: a PCI BAR backed by
// RAM, or SMRAM. What the host does with its pages in between decides what the guest finds: the
// case that the review of the first SEV host patches made, on the real machine's memory.
#include <algorithm>

#include "tests/hypervisor/kvm/keyed_vm.hpp"

namespace softsnp::kvm {
namespace {

constexpr u64 mib = u64{1} << 20;
constexpr u64 bar_bytes = 16 * page_size;
constexpr GuestPhysical bar(0xC0000000);

struct Scene {
  explicit Scene(VmType type, PinPolicy policy)
      : machine({64 * mib, 1, psp::Product::genoa, 1, {}}),
        host(machine.port()),
        // What lies below the BAR's memory, and is given back while the BAR is hidden.
        neighbour(host.users.map(bar_bytes).value()),
        neighbour_pins(host.users.pin(neighbour, bar_bytes / page_size).value()),
        ram(host.users.map(bar_bytes).value()),
        vm(machine, host, {type, nullptr, 0, policy}, 7) {}

  // QEMU's notifier.
  bool register_ram() {
    return vm.type() == VmType::plain || vm.memory().regions().add(ram, bar_bytes).ok();
  }
  bool show() {
    UserMemoryRegion region;
    region.slot = 4;
    region.gpa = bar;
    region.size = bar_bytes;
    region.address = ram;
    return vm.memory().set_region(region).ok();
  }
  bool hide() {
    UserMemoryRegion region;
    region.slot = 4;
    return vm.memory().set_region(region).ok();
  }
  void write_all() {
    for (u64 i = 0; i < bar_bytes / page_size; ++i) {
      EXPECT_TRUE(vm.write(bar + i * page_size, page_of(i)));
    }
  }
  // Pages that still hold what the guest wrote.
  u64 intact() {
    u64 pages = 0;
    for (u64 i = 0; i < bar_bytes / page_size; ++i) {
      const auto bytes = vm.read(bar + i * page_size);
      EXPECT_TRUE(bytes.has_value());
      pages += bytes == page_of(i) ? 1 : 0;
    }
    return pages;
  }
  void free_what_lies_below() {
    host.users.unpin(neighbour_pins);
    EXPECT_TRUE(host.users.unmap(neighbour).ok());
  }
  host::MoveReport hide_compact_show() {
    EXPECT_TRUE(register_ram() && show());
    write_all();
    EXPECT_EQ(intact(), bar_bytes / page_size);
    EXPECT_TRUE(hide());
    free_what_lies_below();
    const host::MoveReport report = host.mover.compact();
    EXPECT_TRUE(show());
    return report;
  }

  machine::Machine machine;
  host::HostKernel host;
  HostVirtual neighbour;
  std::vector<SystemPhysical> neighbour_pins;
  HostVirtual ram;
  KeyedVm vm;
};

constexpr u64 all = bar_bytes / page_size;

TEST(HiddenMemory, APlainGuestDoesNotNotice) {
  Scene scene(VmType::plain, PinPolicy::registered_regions);
  EXPECT_EQ(scene.hide_compact_show().moved, all);
  EXPECT_EQ(scene.intact(), all);
}

TEST(HiddenMemory, PinsOfSlotsLoseAnEncryptedGuestsData) {
  for (const VmType type : {VmType::sev, VmType::sev_es}) {
    Scene scene(type, PinPolicy::memory_slots);
    EXPECT_EQ(scene.hide_compact_show().moved, all);
    EXPECT_EQ(scene.intact(), 0u) << "noise: the ciphertext is another address's";
  }
}

TEST(HiddenMemory, RegisteredRegionsKeepIt) {
  for (const VmType type : {VmType::sev, VmType::sev_es}) {
    Scene scene(type, PinPolicy::registered_regions);
    const host::MoveReport report = scene.hide_compact_show();
    EXPECT_EQ(report.moved, 0u);
    EXPECT_EQ(report.pinned, all);
    EXPECT_EQ(scene.intact(), all);
  }
}

// The noise is not random: ciphertext that comes back to its own place is what it was.
TEST(HiddenMemory, BackAtItsPlaceTheCiphertextIsReadable) {
  Scene scene(VmType::sev, PinPolicy::memory_slots);
  EXPECT_TRUE(scene.show());
  scene.write_all();
  EXPECT_TRUE(scene.hide());
  EXPECT_EQ(scene.host.mover.swap_out(scene.ram, bar_bytes).swapped_out, all);
  EXPECT_EQ(scene.host.mover.swap_in(scene.ram, bar_bytes).swapped_in, all);
  EXPECT_TRUE(scene.show());
  EXPECT_EQ(scene.intact(), all) << "the lowest free pages are the ones just given up";
}

}  // namespace
}  // namespace softsnp::kvm

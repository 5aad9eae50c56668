#include "tests/end_to_end/hostile_host.hpp"

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"

namespace softsnp::end_to_end {
namespace pte = x86::pte;

namespace {

// A page that no honest part uses: the host's allocator hands out the lowest first, and the RMP
// lies at the top.
SystemPhysical page_of_the_attacker(machine::HostPort& port) {
  return SystemPhysical(port.dram_bytes() - (u64{64} << 20)).page();
}

}  // namespace

Result<void, machine::HostException> EntryEditor::vmrun(unsigned core, SystemPhysical vmcb,
                                                        u64 max_instructions) {
  if (once_ || always_) {
    svm::Vmcb block = lab::read_vmcb(inner_, vmcb);
    if (once_) {
      std::exchange(once_, nullptr)(block);
    }
    if (always_) {
      always_(block);
    }
    (void)inner_.store(vmcb, std::span<const u8>(block.raw, svm::vmcb_control_bytes),
                       PageSize::size_4k);
  }
  return inner_.vmrun(core, vmcb, max_instructions);
}

HostileHost::HostileHost(machine::HostPort& inner, std::function<void(Scene&)> act)
    : WrappedPort(inner),
      entry_(inner),
      at_port_(entry_, victim_port, [this, act = std::move(act)](lab::ActAtPort::Scene& seen) {
        Scene scene{seen.port, seen.vmcb_page, seen.vmcb, entry_};
        act(scene);
      }) {}

void write_quadword(machine::HostPort& port, SystemPhysical at, u64 value) {
  u8 bytes[8];
  store_le(bytes, value);
  (void)port.store(at, bytes, PageSize::size_4k);
}

u64 read_quadword(machine::HostPort& port, SystemPhysical at) {
  u8 bytes[8] = {};
  (void)port.load(at, bytes);
  return load_le<u64>(bytes);
}

void flush_at_entry(Scene& scene) {
  scene.entry.at_next_entry(
      [](svm::Vmcb& vmcb) { vmcb.tlb_control = static_cast<u8>(svm::TlbControl::all); });
}

void split_nested_leaf(Scene& scene, const lab::NestedLeaf& leaf) {
  const SystemPhysical table = page_of_the_attacker(scene.port);
  const u64 base = leaf.value & pte::address_mask & ~(large_page_size - 1);
  const u64 flags = leaf.value & ~pte::address_mask & ~u64{pte::large};
  for (u64 i = 0; i < 512; ++i) {
    write_quadword(scene.port, table + i * 8, base | i << page_shift | flags);
  }
  write_quadword(scene.port, leaf.entry, table.value() | flags);
  flush_at_entry(scene);
}

std::optional<lab::NestedLeaf> smash_and_split(Scene& scene, GuestPhysical gpa) {
  const auto leaf = scene.leaf(gpa);
  if (leaf && leaf->large) {
    (void)scene.port.psmash(leaf->page.large_page());
    split_nested_leaf(scene, *leaf);
  }
  return scene.leaf(gpa);
}

}  // namespace softsnp::end_to_end

#include "tests/hypervisor/kvm/memory_world.hpp"

#include <algorithm>

namespace softsnp::kvm {
namespace {
constexpr VmType types[] = {VmType::plain, VmType::sev, VmType::snp};
}

MemoryWorld::MemoryWorld(u64 seed, bool for_good)
    : machine({32 * mib, seed, psp::Product::genoa, 1, {}}),
      port(machine.port(), seed, for_good),
      gate(seed),
      host(port),
      random_(seed) {
  EXPECT_TRUE(host.platform.enable_snp().ok());
  host.memory.set_gate(&gate);
  free_before = host.memory.free_pages();
  assigned_before = host.memory.direct_map().assigned_pages();
  for (usize i = 0; i < vms_.size(); ++i) {
    fresh_vm(vms_[i], types[i]);
  }
}

void MemoryWorld::end() {
  for (ModelVm& vm : vms_) {
    destroy(vm);
  }
  check_pins();
  while (!blocks_.empty()) {
    EXPECT_TRUE(host.users.unmap(blocks_.back().first).ok());
    blocks_.pop_back();
  }
  host.memory.set_gate(nullptr);
}

void MemoryWorld::fresh_vm(ModelVm& vm, VmType type) {
  vm.vm = std::make_unique<KeyedVm>(machine, host, VmConfig{type, nullptr, {}}, next_asid_++);
  const bool made =
      vm.vm->memory().root() != SystemPhysical(0) && (type != VmType::snp || vm.vm->launch().ok());
  if (!made) {  // memory ran out: a VM that nobody can use
    vm.vm.reset();
  } else if (type == VmType::snp) {
    vm.memfd = vm.vm->memory().create_guest_memfd(guest_bytes).value();
  }
}

void MemoryWorld::destroy(ModelVm& vm) {
  for (ModelRegion& region : vm.regions) {
    unpin(region);
  }
  vm = ModelVm{};
}

u64 MemoryWorld::pick_size() {
  return (pick(2) == 0 ? 512 : 1 + pick(100)) * page_size;
}

void MemoryWorld::step() {
  gate.armed = port.armed = pick(3) == 0;
  act();
  gate.armed = port.armed = false;
  check_pins();
}

void MemoryWorld::act() {
  constexpr usize by_weight[] = {0, 1, 1, 2, 2, 2};
  const usize index = by_weight[pick(6)];
  ModelVm& vm = vms_[index];
  if (!vm.vm) {
    fresh_vm(vm, types[index]);
    return;
  }
  switch (pick(48)) {
    case 0:
      return map_block();
    case 1:
      return pick(4) == 0 ? unmap_block() : map_block();
    case 2:
      return pick(4) == 0 ? destroy(vm) : check_all();
    case 3:
    case 4:
    case 5:
    case 6:
      return set_slot(vm);
    case 7:
      return move_slot(vm);
    case 8:
      return delete_slot(vm);
    case 9:
    case 10:
      return add_region(vm);
    case 11:
    case 12:
      return drop_region(vm);
    case 13:
    case 14:
    case 15:
    case 16:
      return convert(vm);
    case 17:
    case 18:
    case 19:
    case 20:
      return move_pages();
    case 40:
    case 41:
    case 42:
    case 43:
    case 44:
    case 45:
    case 46:
    case 47:
      return vm.vm->type() == VmType::snp ? move_private(vm) : write(vm);
    default:
      return write(vm);
  }
}

void MemoryWorld::map_block() {
  if (blocks_.size() == 4) {
    return;
  }
  const auto first = host.users.map(block_bytes);
  ASSERT_TRUE(first.ok());
  ModelBlock block{*first, {}};
  for (u64 i = 0; i < block_bytes / page_size; ++i) {
    block.pages.push_back(std::make_shared<ModelPage>());
  }
  blocks_.push_back(std::move(block));
}

void MemoryWorld::unmap_block() {
  if (!blocks_.empty()) {
    const usize index = pick(blocks_.size());
    EXPECT_TRUE(host.users.unmap(blocks_[index].first).ok());
    blocks_.erase(blocks_.begin() + static_cast<long>(index));
  }
}

std::shared_ptr<ModelPage>* MemoryWorld::page_at(HostVirtual at) {
  for (ModelBlock& block : blocks_) {
    if (at >= block.first && at - block.first < block_bytes) {
      return &block.pages[(at - block.first) / page_size];
    }
  }
  return nullptr;
}

// A slot that appears where another is must be refused, and nothing may have happened.
void MemoryWorld::set_slot(ModelVm& vm) {
  if (blocks_.empty()) {
    return;
  }
  const ModelBlock& block = blocks_[pick(blocks_.size())];
  UserMemoryRegion region;
  region.slot = static_cast<u32>(pick(4));
  region.size = pick_size();
  const u64 grain = pick(2) == 0 ? 2 * mib : page_size;
  region.gpa = GuestPhysical(align_down(pick(guest_bytes - region.size + 1), grain));
  const u64 offset = align_down(pick(block_bytes - region.size + 1), grain);
  region.address = block.first + offset;
  if (vm.vm->type() == VmType::snp) {
    region.flags = slot_flag::guest_memfd;
    region.guest_memfd = vm.memfd;
    region.guest_memfd_offset = region.gpa.value();
  }
  // Of a slot that is there this is a move, if it is anything.
  if (vm.vm->memory().set_region(region)) {
    vm.slots[region.slot] = region;
  }
}

void MemoryWorld::move_slot(ModelVm& vm) {
  if (vm.slots.empty()) {
    return;
  }
  UserMemoryRegion& slot = std::next(vm.slots.begin(), pick(vm.slots.size()))->second;
  UserMemoryRegion moved = slot;
  moved.gpa = GuestPhysical(align_down(pick(guest_bytes - slot.size + 1), page_size));
  const auto done = vm.vm->memory().set_region(moved);
  EXPECT_FALSE(done.ok() && vm.vm->type() == VmType::snp) << "private memory does not move";
  if (done) {
    slot = moved;
  }
}

void MemoryWorld::delete_slot(ModelVm& vm) {
  UserMemoryRegion region;
  region.slot = static_cast<u32>(pick(4));
  EXPECT_EQ(vm.vm->memory().set_region(region).ok(), vm.slots.erase(region.slot) != 0);
}

void MemoryWorld::add_region(ModelVm& vm) {
  if (blocks_.empty()) {
    return;
  }
  const HostVirtual first = blocks_[pick(blocks_.size())].first + pick(block_bytes);
  const u64 bytes = 1 + pick(64 * page_size);
  const auto done = vm.vm->memory().regions().add(first, bytes);
  EXPECT_FALSE(done.ok() && vm.vm->type() == VmType::plain);
  if (!done) {
    return;
  }
  ModelRegion region{first, bytes, {}};
  for (HostVirtual at = first.page(); at < first + bytes; at = at + page_size) {
    std::shared_ptr<ModelPage>* page = page_at(at);
    ASSERT_NE(page, nullptr) << "pinned where nothing is mapped";
    pinned_ += (*page)->pins++ == 0 ? 1 : 0;
    (*page)->pinned_at = host.users.find(at)->page;
    region.pages.push_back(*page);
  }
  vm.regions.push_back(std::move(region));
}

void MemoryWorld::unpin(ModelRegion& region) {
  for (const auto& page : region.pages) {
    pinned_ -= --page->pins == 0 ? 1 : 0;
  }
}

void MemoryWorld::drop_region(ModelVm& vm) {
  if (vm.regions.empty()) {
    return;
  }
  const usize index = pick(vm.regions.size());
  ModelRegion& region = vm.regions[index];
  EXPECT_FALSE(vm.vm->memory().regions().remove(region.first, region.bytes + page_size).ok());
  EXPECT_TRUE(vm.vm->memory().regions().remove(region.first, region.bytes).ok());
  unpin(region);
  vm.regions.erase(vm.regions.begin() + static_cast<long>(index));
}

void MemoryWorld::discard(HostVirtual first, u64 bytes) {
  for (HostVirtual at = first; at < first + bytes; at = at + page_size) {
    if (std::shared_ptr<ModelPage>* page = page_at(at)) {
      *page = std::make_shared<ModelPage>();
    }
  }
}

// Mostly where there is memory.
u64 MemoryWorld::pick_gpa(const ModelVm& vm, u64 size) {
  if (!vm.slots.empty() && pick(8) != 0) {
    const UserMemoryRegion& slot = std::next(vm.slots.begin(), pick(vm.slots.size()))->second;
    if (size <= slot.size) {
      return slot.gpa.value() + align_down(pick(slot.size - size + 1), page_size);
    }
  }
  return align_down(pick(guest_bytes - size + 1), page_size);
}

void MemoryWorld::convert(ModelVm& vm) {
  const u64 size = pick_size();
  const u64 gpa = pick_gpa(vm, size);
  const bool to_private = pick(3) != 0;
  if (!vm.vm->memory().set_private(GuestPhysical(gpa), size, to_private) ||
      vm.vm->type() != VmType::snp) {
    return;
  }
  for (u64 at = gpa; at < gpa + size; at += page_size) {
    const UserMemoryRegion* slot = vm.slot_at(at);
    if (slot != nullptr && to_private) {
      discard(slot->address + (at - slot->gpa.value()), page_size);
    } else if (slot != nullptr) {
      vm.private_values.erase(at);
    }
  }
}

void MemoryWorld::write(ModelVm& vm) {
  const u64 gpa = pick_gpa(vm, page_size);
  const u64 value = next_value_++;
  const UserMemoryRegion* slot = vm.slot_at(gpa);
  if (!vm.vm->write(GuestPhysical(gpa), page_of(value))) {
    return;
  }
  ASSERT_NE(slot, nullptr) << "written where there is no memory";
  if (vm.vm->type() == VmType::snp && vm.vm->memory().is_private(GuestPhysical(gpa))) {
    vm.private_values[gpa] = value;
    return;
  }
  const HostVirtual at = slot->address + (gpa - slot->gpa.value());
  (*page_at(at))->contents = {value, vm.vm->key_at(GuestPhysical(gpa)), host.users.find(at)->page};
}

void MemoryWorld::move_pages() {
  std::vector<host::UserMemory::Block> ranges;
  for (const ModelBlock& block : blocks_) {
    const u64 first = align_down(pick(block_bytes), page_size);
    ranges.push_back({block.first + first, std::min(pick_size(), block_bytes - first)});
  }
  const u64 what = pick(5);
  if (what == 0) {
    host.mover.compact();
  } else if (what == 1) {
    host.mover.merge(ranges);
  } else if (!ranges.empty()) {
    const auto& range = ranges[pick(ranges.size())];
    what == 2   ? host.mover.swap_out(range.first, range.bytes)
    : what == 3 ? host.mover.swap_in(range.first, range.bytes)
                : host.mover.migrate(range.first, range.bytes, static_cast<unsigned>(pick(2)));
  }
}

void MemoryWorld::move_private(ModelVm& vm) {
  const u64 size = pick(4) == 0 ? pick_size() : (1 + pick(16)) * page_size;
  const bool known = !vm.private_values.empty() && pick(8) != 0;
  const GuestPhysical gpa(
      known ? std::next(vm.private_values.begin(), pick(vm.private_values.size()))->first
            : pick_gpa(vm, size));
  GuestMemory& memory = vm.vm->memory();
  const u64 what = pick(4);
  const auto done = what == 0 ? memory.swap_out_private(gpa, size)
                    : what == 1
                        ? memory.swap_in_private(gpa, size)
                        : memory.migrate_private(gpa, size, static_cast<unsigned>(what - 2));
  if (!done) {
    private_moves.refused += done.error().number == EINVAL ? 0 : 1;  // EINVAL: no memory there
    return;
  }
  private_moves.moved += done->moved;
  private_moves.swapped_out += done->swapped_out;
  private_moves.swapped_in += done->swapped_in;
}

}  // namespace softsnp::kvm

#include "vmm/guest_ram.hpp"

namespace softsnp::vmm {
namespace {

using Done = Result<void, kvm::Error>;

struct Group {
  usize first = 0, end = 0;  // ranges of the plan
  GuestPhysical start;       // 2 MiB aligned
  u64 bytes = 0;
};

Group group_from(const std::vector<image::RamRange>& ram, usize first) {
  usize end = first + 1;
  while (end < ram.size() && ram[end].start - ram[end - 1].end() < large_page_size) {
    ++end;
  }
  const GuestPhysical start = ram[first].start.large_page();
  return {first, end, start, ram[end - 1].end() - start};
}

Done give_slot(kvm::Vm& vm, const image::LaunchPlan& plan, usize index, GuestPhysical group_start,
               HostVirtual block, u32 memfd) {
  const image::RamRange& range = plan.ram[index];
  kvm::UserMemoryRegion region;
  region.slot = static_cast<u32>(index);
  region.gpa = range.start;
  region.size = range.length;
  region.address = block + (range.start - group_start);
  if (plan.mode == image::Mode::snp) {
    region.flags = kvm::slot_flag::guest_memfd;
    region.guest_memfd = memfd;
    region.guest_memfd_offset = range.start - group_start;
  }
  if (Done done = vm.set_user_memory_region(region); !done) {
    return done;
  }
  return image::is_encrypted(plan.mode) ? vm.set_private(range.start, range.length, true) : Done();
}

}  // namespace

Result<void, kvm::Error> give_ram(kvm::Vm& vm, RamBlocks& blocks, const image::LaunchPlan& plan) {
  for (usize index = 0; index < plan.ram.size();) {
    const Group group = group_from(plan.ram, index);
    const auto block = blocks.add(group.bytes);
    if (!block) {
      return Failure{block.error()};
    }
    u32 memfd = 0;
    if (plan.mode == image::Mode::snp) {
      const auto made = vm.create_guest_memfd(group.bytes);
      if (!made) {
        return Failure{made.error()};
      }
      memfd = *made;
    }
    for (; index < group.end; ++index) {
      if (Done done = give_slot(vm, plan, index, group.start, block->first, memfd); !done) {
        return done;
      }
    }
  }
  return {};
}

}  // namespace softsnp::vmm

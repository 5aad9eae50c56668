#include "hypervisor/kvm/process_memory.hpp"

#include "hypervisor/host/numa.hpp"
#include "hypervisor/kvm/error.hpp"

namespace softsnp::kvm {
namespace {
Result<void, Error> translated(const Result<void, host::Error>& done) {
  return done ? Result<void, Error>() : fail(done.error());
}
}  // namespace

Result<HostVirtual, Error> ProcessMemoryImpl::map(u64 bytes) {
  const auto first = host_.users.map(bytes);
  return first ? Result<HostVirtual, Error>(*first) : fail(first.error());
}

Result<void, Error> ProcessMemoryImpl::unmap(HostVirtual first) {
  return translated(host_.users.unmap(first));
}

Result<void, Error> ProcessMemoryImpl::read(HostVirtual at, std::span<u8> to) {
  return translated(host_.users.read(at, to));
}

Result<void, Error> ProcessMemoryImpl::write(HostVirtual at, std::span<const u8> from) {
  return translated(host_.users.write(at, from));
}

std::vector<RamBlock> ProcessMemoryImpl::blocks() const {
  std::vector<RamBlock> blocks;
  for (const auto& block : host_.users.blocks()) {
    blocks.push_back({block.first, block.bytes});
  }
  return blocks;
}

MoveReport ProcessMemoryImpl::migrate(RamBlock range, unsigned node) {
  return node < host::node_count ? host_.mover.migrate(range.first, range.bytes, node)
                                 : MoveReport{};
}

MoveReport ProcessMemoryImpl::swap_out(RamBlock range) {
  return host_.mover.swap_out(range.first, range.bytes);
}

MoveReport ProcessMemoryImpl::swap_in(RamBlock range) {
  return host_.mover.swap_in(range.first, range.bytes);
}

MoveReport ProcessMemoryImpl::merge(std::span<const RamBlock> ranges) {
  std::vector<host::UserMemory::Block> blocks;
  for (const RamBlock& range : ranges) {
    blocks.push_back({range.first, range.bytes});
  }
  return host_.mover.merge(blocks);
}

ProcessMemoryReport ProcessMemoryImpl::report() const {
  const host::UserPages& pages = host_.users.pages();
  return {host_.memory.free_pages(), pages.user_pages(),          pages.guest_memfd_pages(),
          pages.pinned_pages(),      host_.users.swapped_pages(), host_.mover.totals()};
}

}  // namespace softsnp::kvm

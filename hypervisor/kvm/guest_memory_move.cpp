// Private pages of an SNP guest on the move: unmapped first, then the firmware's matter.
#include <cerrno>

#include "hypervisor/host/numa.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

void GuestMemory::set_context(SystemPhysical context) {
  if (firmware_) {
    return;
  }
  firmware_.emplace(host_.memory, host_.rmp, host_.psp, context);
  for (const auto& [file, memfd] : memfds_) {
    memfd->set_firmware(&*firmware_);
  }
}

// step(slot, gpa, report) says how many bytes it has dealt with.
template <class Step>
Result<MoveReport, Error> GuestMemory::move_private(GuestPhysical gpa, u64 bytes, Step step) {
  GuestPhysical end = gpa;
  if (!is_snp() || !gpa.is_page_aligned() || !is_aligned(bytes, page_size) || bytes == 0 ||
      !end.checked_add(bytes)) {
    return fail(EINVAL, "whole pages of an SNP VM's private memory can be moved");
  }
  MoveReport report;
  while (gpa < end) {
    const MemorySlot* slot = slots_.find(gpa);
    if (slot == nullptr || slot->memfd == nullptr) {
      return fail(EINVAL, "no private memory there");
    }
    const Result<u64, Error> done = step(*slot, gpa, end, report);
    if (!done) {
      return Failure<Error>{done.error()};
    }
    gpa = gpa + *done;
  }
  return report;
}

Result<MoveReport, Error> GuestMemory::migrate_private(GuestPhysical gpa, u64 bytes,
                                                       unsigned node) {
  if (node >= host::node_count) {
    return fail(EINVAL, "no such NUMA node");
  }
  const u64 dram = host_.port().dram_bytes();
  return move_private(gpa, bytes,
                      [&](const MemorySlot& slot, GuestPhysical at, GuestPhysical end,
                          MoveReport& report) -> Result<u64, Error> {
                        const u64 offset = slot.offset_of(at);
                        const auto page = slot.memfd->find(offset);
                        if (!page || host::node_of(*page, dram) == node) {
                          return page_size;
                        }
                        const bool large = at.is_large_page_aligned() && slot.contains_frame(at) &&
                                           slot.large_private() && end - at >= large_page_size;
                        const PageSize size = large ? PageSize::size_2m : PageSize::size_4k;
                        zap(at, softsnp::bytes(size));
                        const auto moved =
                            slot.memfd->move(offset, size, host::node_range(node, dram));
                        if (!moved) {
                          return fail(moved.error());
                        }
                        report.moved += *moved;
                        return *moved * page_size;
                      });
}

Result<MoveReport, Error> GuestMemory::swap_out_private(GuestPhysical gpa, u64 bytes) {
  return move_private(gpa, bytes,
                      [&](const MemorySlot& slot, GuestPhysical at, GuestPhysical,
                          MoveReport& report) -> Result<u64, Error> {
                        if (!slot.memfd->find(slot.offset_of(at))) {
                          return page_size;
                        }
                        zap(at, page_size);
                        if (const auto done = slot.memfd->swap_out(slot.offset_of(at)); !done) {
                          return fail(done.error());
                        }
                        ++report.swapped_out;
                        return page_size;
                      });
}

Result<MoveReport, Error> GuestMemory::swap_in_private(GuestPhysical gpa, u64 bytes) {
  return move_private(gpa, bytes,
                      [&](const MemorySlot& slot, GuestPhysical at, GuestPhysical,
                          MoveReport& report) -> Result<u64, Error> {
                        if (!slot.memfd->is_swapped(slot.offset_of(at))) {
                          return page_size;
                        }
                        if (const auto done = slot.memfd->swap_in(slot.offset_of(at)); !done) {
                          return fail(done.error());
                        }
                        ++report.swapped_in;
                        return page_size;
                      });
}

}  // namespace softsnp::kvm

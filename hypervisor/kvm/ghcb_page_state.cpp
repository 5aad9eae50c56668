// The page-state-change event. GHCB sheet 3.5, 5.
#include "base/bytes.hpp"
#include "hypervisor/kvm/scratch_area.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {

// The list is copied once: what the guest changes meanwhile does not count.
VcpuImpl::Exit VcpuImpl::event_page_state() {
  const auto room =
      scratch_room(ghcb_.request.ghcb, ghcb_.request.scratch, sizeof(ghcb::PageStateHeader));
  std::vector<u8> bytes(room.value_or(0));
  if (!room || !vm_.memory.read_shared(GuestPhysical(ghcb_.request.scratch), bytes)) {
    respond_malformed(ghcb::Malformed::invalid_scratch_area);
    return std::nullopt;
  }
  const auto header = load_le<ghcb::PageStateHeader>(bytes.data());
  const usize capacity = (bytes.size() - sizeof header) / sizeof(ghcb::PageStateEntry);
  std::vector<ghcb::PageStateEntry> entries(capacity);
  for (usize i = 0; i < capacity; ++i) {
    entries[i] = load_le<ghcb::PageStateEntry>(bytes.data() + sizeof header +
                                               i * sizeof(ghcb::PageStateEntry));
  }
  ghcb_.page_state = PageStateRequest(header, std::move(entries), capacity);
  return continue_page_state();
}

// EI1 stays 0 even for errors; the verdict is EI2.
VcpuImpl::Exit VcpuImpl::continue_page_state() {
  const PageStateRequest::Step step = ghcb_.page_state.next();
  write_page_state();
  if (step.kind == PageStateRequest::Step::Kind::finished) {
    respond(0, step.error);
    return std::nullopt;
  }
  const bool to_private = step.operation == ghcb::PageOperation::make_private;
  const u64 flags =
      (to_private ? map_gpa_private : 0) | (step.size == PageSize::size_2m ? map_gpa_2m : 0);
  pending_ = PscByEvent{};
  return KvmExit(HypercallExit{hypercall_map_gpa_range, {step.first.value(), step.pages, flags}});
}

// Progress: cur_entry, and cur_page of the entries that are done.
void VcpuImpl::write_page_state() {
  const ghcb::PageStateHeader& header = ghcb_.page_state.header();
  const GuestPhysical buffer(ghcb_.request.scratch);
  (void)vm_.memory
      .write_shared(buffer,
                    {reinterpret_cast<const u8*>(&header.cur_entry), sizeof header.cur_entry})
      .ok();
  const usize done = std::min<usize>(header.cur_entry, ghcb_.page_state.entries().size());
  (void)vm_.memory
      .write_shared(buffer + sizeof header,
                    {reinterpret_cast<const u8*>(ghcb_.page_state.entries().data()),
                     done * sizeof(ghcb::PageStateEntry)})
      .ok();
}

}  // namespace softsnp::kvm

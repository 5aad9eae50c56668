#include "hypervisor/kvm/guest_memory.hpp"

#include <algorithm>
#include <cerrno>

#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/hex.hpp"

namespace softsnp::kvm {
namespace {

// KVM marks MMIO with all bits from the reduced physical width up to 51; if the first of them is
// the C-bit, it starts above (hardware sheet 7.2; Linux svm_adjust_mmio_mask).
u64 mmio_bits(const machine::HostPort& port) {
  const u32 sev_ebx = port.cpuid(0x8000001F, 0).ebx;
  const unsigned reduction = static_cast<unsigned>(get_bits(sev_ebx, 11, 6));
  const unsigned c_bit = static_cast<unsigned>(get_bits(sev_ebx, 5, 0));
  const unsigned width = (port.cpuid(0x80000008, 0).eax & 0xFF) - reduction;
  const unsigned first = width == c_bit ? width + 1 : width;
  return first < 52 ? mask_bits(51, first) : 0;
}

}  // namespace

GuestMemory::GuestMemory(host::HostKernel& host, const VmConfig& config, Observer& observer,
                         Counters& counters)
    : host_(host),
      type_(config.type),
      observer_(observer),
      counters_(counters),
      tables_(host.memory, mmio_bits(host.port())),
      regions_(host, config) {
  host_.users.add_notifier(*this);
}

GuestMemory::~GuestMemory() {
  host_.users.remove_notifier(*this);
}

void GuestMemory::zap(GuestPhysical first, u64 bytes) {
  ++zap_count_;
  if (tables_.unmap(first, bytes)) {
    ++shrink_count_;
  }
}

// Private pages are not the VMM's: what happens to its addresses does not touch them.
void GuestMemory::zap_shared(GuestPhysical first, GuestPhysical end) {
  for (GuestPhysical at = first; at < end;) {
    const GuestPhysical next = std::min(at.large_page() + large_page_size, end);
    if (!is_snp() || !attributes_.all_private(at)) {
      zap(at, next - at);
    }
    at = next;
  }
}

void GuestMemory::invalidate(HostVirtual first, u64 bytes) {
  const HostVirtual end = first + bytes;
  for (const auto& slot : slots_.all()) {
    const HostVirtual from = std::max(first, slot->address);
    const HostVirtual to = std::min(end, slot->address + slot->bytes);
    if (from < to) {
      const GuestPhysical at = slot->first + (from - slot->address);
      zap_shared(at, at + (to - from));
    }
  }
}

Result<void, Error> GuestMemory::set_private(GuestPhysical gpa, u64 bytes, bool is_private) {
  GuestPhysical end = gpa;
  if (!has_encrypted_memory(type_) || !gpa.is_page_aligned() || !is_aligned(bytes, page_size) ||
      bytes == 0 || !end.checked_add(bytes)) {
    return fail(EINVAL, "memory attributes need whole pages of an encrypted VM");
  }
  if (is_private) {
    for (GuestPhysical at = gpa; at < end;) {
      const MemorySlot* slot = slots_.find(at);
      if (slot == nullptr) {
        return fail(ENOENT, "no memory to make private");
      }
      at = slot->end();
    }
  }
  end = GuestPhysical(std::min(end.value(), NestedPageTable::gpa_limit));
  if (end <= gpa) {
    return {};
  }
  if (is_snp()) {
    zap(gpa, end - gpa);
  }
  attributes_.set(gpa, end - gpa, is_private);
  // Guests without an RMP have one memory for both: the attribute is a note for whoever moves them.
  for (const auto& slot : slots_.all()) {
    if (!is_snp()) {
      break;
    }
    const GuestPhysical first = std::max(gpa, slot->first);
    const GuestPhysical last = std::min(end, slot->end());
    if (first < last && is_private) {
      host_.users.discard(slot->address_of(first), last - first);
    } else if (first < last && slot->memfd != nullptr) {
      slot->memfd->punch_hole(slot->offset_of(first), last - first);
    }
  }
  (is_private ? counters_.pages_made_private : counters_.pages_made_shared) += bytes / page_size;
  observer_.page_state({gpa, bytes, is_private});
  return {};
}

std::string GuestMemory::describe(GuestPhysical gpa) const {
  const MemorySlot* slot = slots_.find(gpa);
  if (slot == nullptr) {
    return "no memory slot";
  }
  const bool is_private = attributes_.is_private(gpa.page());
  std::string text = is_private ? "private memory" : "shared memory";
  std::optional<SystemPhysical> page;
  if (is_snp() && is_private && slot->memfd != nullptr) {
    page = slot->memfd->find(slot->offset_of(gpa.page()));
  } else if (const auto shared = host_.users.find(slot->address_of(gpa.page()))) {
    page = shared->page;
  }
  if (!page) {
    return text + ", no page behind it";
  }
  const snp::RmpUpdate entry = host_.rmp.read(*page);
  return text + ", sPA " + hex(page->value()) + ", RMP entry: " +
         (entry.assigned != 0
              ? "assigned to ASID " + std::to_string(entry.asid) + " at gPA " + hex(entry.gpa)
              : "hypervisor-owned") +
         (entry.page_size != 0 ? ", 2M" : ", 4K") + (entry.immutable != 0 ? ", immutable" : "");
}

}  // namespace softsnp::kvm

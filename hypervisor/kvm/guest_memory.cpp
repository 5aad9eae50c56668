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

GuestMemory::GuestMemory(host::HostKernel& host, VmType type, Observer& observer,
                         Counters& counters)
    : host_(host),
      type_(type),
      observer_(observer),
      counters_(counters),
      tables_(host.memory, mmio_bits(host.port())) {}

GuestMemory::~GuestMemory() {
  for (auto& slot : slots_) {
    free_private(*slot, slot->first, slot->bytes);
    free_shared(*slot, slot->first, slot->bytes);
  }
}

const MemorySlot* GuestMemory::find_slot(GuestPhysical gpa) const {
  const auto after =
      std::upper_bound(slots_.begin(), slots_.end(), gpa,
                       [](GuestPhysical at, const auto& slot) { return at < slot->first; });
  if (after == slots_.begin() || !(*std::prev(after))->contains(gpa)) {
    return nullptr;
  }
  return std::prev(after)->get();
}

MemorySlot* GuestMemory::find_slot(GuestPhysical gpa) {
  return const_cast<MemorySlot*>(std::as_const(*this).find_slot(gpa));
}

void GuestMemory::zap(GuestPhysical first, u64 bytes) {
  if (tables_.unmap(first, bytes)) {
    ++shrink_count_;
  }
}

Result<void, Error> GuestMemory::set_region(u32 id, GuestPhysical gpa, u64 bytes) {
  const auto same =
      std::find_if(slots_.begin(), slots_.end(), [id](const auto& slot) { return slot->id == id; });
  if (bytes == 0) {
    if (same == slots_.end()) {
      return fail(EINVAL, "no such memory slot");
    }
    MemorySlot& slot = **same;
    zap(slot.first, slot.bytes);
    free_private(slot, slot.first, slot.bytes);
    free_shared(slot, slot.first, slot.bytes);
    slots_.erase(same);
    return {};
  }
  GuestPhysical end = gpa;
  if (!gpa.is_page_aligned() || !is_aligned(bytes, page_size) || !end.checked_add(bytes) ||
      end.value() > NestedPageTable::gpa_limit) {
    return fail(EINVAL, "a memory slot must be whole pages below 2^48");
  }
  const bool overlaps = std::any_of(slots_.begin(), slots_.end(), [&](const auto& slot) {
    return gpa < slot->first + slot->bytes && slot->first < end;
  });
  if (overlaps || same != slots_.end()) {
    return fail(EEXIST, "the memory slot exists or overlaps another");
  }
  // MMIO entries may stand where memory comes now.
  zap(gpa, bytes);
  slots_.push_back(std::make_unique<MemorySlot>(id, gpa, bytes));
  std::sort(slots_.begin(), slots_.end(),
            [](const auto& a, const auto& b) { return a->first < b->first; });
  return {};
}

Result<void, Error> GuestMemory::set_private(GuestPhysical gpa, u64 bytes, bool is_private) {
  GuestPhysical end = gpa;
  if (!has_encrypted_memory(type_) || !gpa.is_page_aligned() || !is_aligned(bytes, page_size) ||
      bytes == 0 || !end.checked_add(bytes)) {
    return fail(EINVAL, "memory attributes need whole pages of an encrypted VM");
  }
  if (is_private) {
    for (GuestPhysical at = gpa; at < end;) {
      const MemorySlot* slot = find_slot(at);
      if (slot == nullptr) {
        return fail(ENOENT, "no memory to make private");
      }
      at = slot->first + slot->bytes;
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
  for (const auto& slot : slots_) {
    if (!is_snp()) {
      break;
    }
    const GuestPhysical first = std::max(gpa, slot->first);
    const GuestPhysical last = std::min(end, slot->first + slot->bytes);
    if (first < last && is_private) {
      free_shared(*slot, first, last - first);
    } else if (first < last) {
      free_private(*slot, first, last - first);
    }
  }
  (is_private ? counters_.pages_made_private : counters_.pages_made_shared) += bytes / page_size;
  observer_.page_state({gpa, bytes, is_private});
  return {};
}

std::string GuestMemory::describe(GuestPhysical gpa) const {
  const MemorySlot* slot = find_slot(gpa);
  if (slot == nullptr) {
    return "no memory slot";
  }
  const bool is_private = attributes_.is_private(gpa.page());
  const auto page = (is_private ? slot->private_memory : slot->shared).find(gpa.page());
  std::string text = is_private ? "private memory" : "shared memory";
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

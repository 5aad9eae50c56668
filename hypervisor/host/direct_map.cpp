#include "hypervisor/host/direct_map.hpp"

#include <algorithm>

#include "arch/x86/registers.hpp"

namespace softsnp::host {
namespace {

namespace pf = x86::pf_error;

// A mapping of 1 GiB is checked as 2 MiB (hardware sheet 5.1).
PageSize checked_size(MappingSize size) {
  return size == MappingSize::size_4k ? PageSize::size_4k : PageSize::size_2m;
}

template <class Bytes>
Bytes part_in_page(SystemPhysical at, Bytes bytes) {
  return bytes.first(std::min<u64>(bytes.size(), page_size - at.page_offset()));
}

}  // namespace

DirectMap::DirectMap(machine::HostPort& port, PageAllocator& allocator,
                     const DirectMapConfig& config)
    : port_(port), config_(config), tables_(port, allocator), assigned_(port.dram_bytes()) {}

DirectMap::Mapping DirectMap::translate(SystemPhysical at) {
  if (const MappingSize* known = tlb_.find(at)) {
    return {*known, true};
  }
  const Mapping mapping = tables_.walk(at);
  if (mapping.present) {
    tlb_.insert(at, mapping.size);
  }
  return mapping;
}

// One access within a page, repeated as long as the fault handler has found something to mend.
template <class Access>
Result<void, machine::HostFault> DirectMap::write(SystemPhysical at, Access access) {
  if (at.value() >= port_.dram_bytes()) {
    return Failure{machine::HostFault{0, at}};
  }
  ++counters_.stores;
  for (;;) {
    const Mapping mapping = translate(at);
    Result<void, machine::HostFault> done =
        mapping.present
            ? access(checked_size(mapping.size))
            : Result<void, machine::HostFault>(Failure{machine::HostFault{pf::write, at}});
    if (done || !resolve(done.error(), mapping)) {
      return done;
    }
  }
}

// The host's page-fault handler. Only a fault for the sake of neighbours can be mended: the mapping
// is large and the page itself is nobody's. Linux left this open, see the seed's patch.
bool DirectMap::resolve(const machine::HostFault& fault, const Mapping& mapping) {
  ++counters_.faults;
  if ((fault.error_code & pf::rmp) == 0 || mapping.size == MappingSize::size_4k) {
    return false;
  }
  snp::RmpUpdate entry;
  const auto read = port_.rmpread(fault.address.page(), entry);
  if (!read || *read != snp::RmpResult::success || entry.assigned != 0) {
    return false;
  }
  split_to(fault.address, MappingSize::size_4k);
  ++counters_.faults_resolved;
  return true;
}

Result<void, machine::HostFault> DirectMap::store(SystemPhysical at, std::span<const u8> from) {
  while (!from.empty()) {
    const auto part = part_in_page(at, from);
    if (auto done = write(at, [&](PageSize size) { return port_.store(at, part, size); }); !done) {
      return done;
    }
    from = from.subspan(part.size());
    at = at + part.size();
  }
  return {};
}

Result<void, machine::HostFault> DirectMap::clear_page(SystemPhysical page) {
  return write(page, [&](PageSize size) { return port_.clear_page(page, size); });
}

bool DirectMap::clear_large_page(SystemPhysical page) {
  const Mapping mapping = translate(page);
  if (!mapping.present || mapping.size == MappingSize::size_4k ||
      !port_.clear_page(page, PageSize::size_2m, PageSize::size_2m)) {
    return false;
  }
  ++counters_.stores;
  return true;
}

Result<void, machine::HostFault> DirectMap::load(SystemPhysical at, std::span<u8> to) {
  while (!to.empty()) {
    const auto part = part_in_page(at, to);
    if (at.value() >= port_.dram_bytes() || !translate(at).present) {
      ++counters_.faults;
      return Failure{machine::HostFault{0, at}};
    }
    if (auto done = port_.load(at, part); !done) {
      return done;
    }
    to = to.subspan(part.size());
    at = at + part.size();
  }
  return {};
}

void DirectMap::split_to(SystemPhysical at, MappingSize size) {
  const MappingSize before = tables_.walk(at).size;
  if (before <= size) {
    return;
  }
  tables_.split_to(at, size);
  counters_.splits_of_1g += before == MappingSize::size_1g ? 1 : 0;
  counters_.splits_of_2m += size == MappingSize::size_4k ? 1 : 0;
  tlb_.flush();
}

void DirectMap::set_present(SystemPhysical page, PageSize size, bool present) {
  const auto wanted = static_cast<MappingSize>(size);
  split_to(page, wanted);
  const MappingSize now = tables_.walk(page).size;
  for (u64 offset = 0; offset < bytes(size); offset += bytes(now)) {
    tables_.set_present(page + offset, now, present);
  }
  tlb_.flush();
}

void DirectMap::before_update(SystemPhysical page, PageSize size, bool assigns) {
  if (config_.policy == DirectMapPolicy::split_on_assign ||
      (config_.policy == DirectMapPolicy::split_on_small_assign && size == PageSize::size_4k)) {
    split_to(page, MappingSize::size_4k);
  } else if (config_.policy == DirectMapPolicy::unmap_on_assign && assigns) {
    set_present(page, size, false);
  }
}

void DirectMap::after_update(SystemPhysical page, PageSize size, bool assigned) {
  assigned_.set(page, size, assigned);
  if (assigned) {
    return;
  }
  if (config_.policy == DirectMapPolicy::unmap_on_assign) {
    set_present(page, size, true);
  }
  if (config_.coalesce) {
    coalesce(page);
  }
}

void DirectMap::coalesce(SystemPhysical at) {
  if (assigned_.count_around(at) != 0 || !tables_.can_be(at, MappingSize::size_2m)) {
    return;
  }
  if (tables_.walk(at).size == MappingSize::size_4k) {
    tables_.join(at, MappingSize::size_2m);
    ++counters_.joins_to_2m;
    tlb_.flush();
  }
  if (tables_.walk(at).size == MappingSize::size_2m && tables_.broken_in_huge(at) == 0 &&
      tables_.can_be(at, MappingSize::size_1g)) {
    tables_.join(at, MappingSize::size_1g);
    ++counters_.joins_to_1g;
    tlb_.flush();
  }
}

DirectMapCounters DirectMap::counters() const {
  DirectMapCounters counters = counters_;
  counters.tlb_misses = tlb_.misses();
  return counters;
}

}  // namespace softsnp::host

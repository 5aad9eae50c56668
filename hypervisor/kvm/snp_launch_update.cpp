// SNP_LAUNCH_UPDATE of guest pages and VMSAs. Firmware sheet 1.6, 2.1; hardware sheet 6.2.
#include <algorithm>
#include <cerrno>

#include "arch/psp/status.hpp"
#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/snp_guest.hpp"

namespace softsnp::kvm {
namespace {

// KVM gives every VMSA this gPA in the RMP.
constexpr GuestPhysical vmsa_gpa(0xFFFFFFFFF000);

bool takes_bytes(LaunchPageType type) {
  return type == LaunchPageType::normal || type == LaunchPageType::unmeasured ||
         type == LaunchPageType::cpuid;
}
bool may_be_large(LaunchPageType type) {
  return type == LaunchPageType::normal || type == LaunchPageType::unmeasured ||
         type == LaunchPageType::zero;
}
bool is_zero(std::span<const u8> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](u8 byte) { return byte == 0; });
}

}  // namespace

// Fresh pages are zero: only what is not zero is written, so that untouched memory stays so.
void SnpGuest::fill(SystemPhysical page, std::span<const u8> bytes) {
  for (usize done = 0; done < bytes.size(); done += page_size) {
    const auto part = bytes.subspan(done, std::min<usize>(page_size, bytes.size() - done));
    if (!is_zero(part)) {
      host_.memory.store_own(page + done, part);
    }
  }
}

Result<void, Error> SnpGuest::launch_page(SystemPhysical page, PageSize size, psp::PageType type) {
  psp::SnpLaunchUpdate buffer{};
  buffer.gctx_paddr = context_.value();
  buffer.flags =
      static_cast<u32>(type) << 1 | (size == PageSize::size_2m ? psp::SnpLaunchUpdate::size_2m : 0);
  buffer.page_paddr = page.value();
  return command(psp::Command::snp_launch_update, buffer);
}

Result<void, Error> SnpGuest::update_one(const LaunchUpdate& update, u64 done,
                                         const GuestMemory::LaunchPage& target,
                                         std::vector<u8>* corrected) {
  const GuestPhysical gpa = update.gpa + done;
  if (takes_bytes(update.type)) {
    fill(target.page, update.bytes.subspan(done, bytes(target.size)));
  }
  if (auto assigned =
          host_.rmp.assign(target.page, target.size, gpa, asid_, host::Rmp::Immutable::yes);
      !assigned) {
    memory_.drop_private(gpa, target.size);
    return fail(assigned.error());
  }
  auto launched = launch_page(target.page, target.size, static_cast<psp::PageType>(update.type));
  if (launched) {
    memory_.note_assigned(gpa, target.size);
    return {};
  }
  if (host_.rmp.reclaim(target.page, target.size)) {
    const bool is_rejected_cpuid =
        update.type == LaunchPageType::cpuid &&
        launched.error().firmware == psp::number(psp::Status::invalid_param);
    if (is_rejected_cpuid && corrected != nullptr) {
      corrected->resize(page_size);
      host_.memory.load_own(target.page, *corrected);
    }
    memory_.drop_private(gpa, target.size);
  }
  return launched;
}

Result<void, Error> SnpGuest::update(const LaunchUpdate& update, std::vector<u8>* corrected) {
  if (stage_ != Stage::started) {
    return fail(EINVAL, "no launch is under way");
  }
  GuestPhysical end = update.gpa;
  if (!update.gpa.is_page_aligned() || !is_aligned(update.length, page_size) ||
      update.length == 0 || !end.checked_add(update.length)) {
    return fail(EINVAL, "a launch update needs whole pages");
  }
  if (takes_bytes(update.type) && update.bytes.size() != update.length) {
    return fail(EINVAL, "a launch update needs as many bytes as it is long");
  }
  switch (update.type) {
    case LaunchPageType::normal:
    case LaunchPageType::zero:
    case LaunchPageType::unmeasured:
    case LaunchPageType::secrets:
    case LaunchPageType::cpuid:
      break;
    case LaunchPageType::vmsa:
    default:
      return fail(EINVAL, "no such page type for a launch update");
  }
  for (u64 done = 0; done < update.length;) {
    const u64 left = may_be_large(update.type) ? update.length - done : page_size;
    const auto page = memory_.launch_page(update.gpa + done, left);
    if (!page) {
      return Failure<Error>{page.error()};
    }
    if (auto one = update_one(update, done, *page, corrected); !one) {
      return one;
    }
    done += bytes(page->size);
  }
  return {};
}

Result<SystemPhysical, Error> SnpGuest::add_vmsa(const svm::Vmsa& state, u64 features) {
  if (stage_ != Stage::started) {
    return fail(EINVAL, "no launch is under way");
  }
  svm::Vmsa vmsa = state;
  vmsa.sev_features = snp::feature::snp_active | features;
  vmsa.efer |= x86::efer::svme;
  auto page = page_with(vmsa.raw);
  if (!page) {
    return page;
  }
  if (auto assigned =
          host_.rmp.assign(*page, PageSize::size_4k, vmsa_gpa, asid_, host::Rmp::Immutable::yes);
      !assigned) {
    host_.memory.leak(*page, PageSize::size_4k);
    return fail(assigned.error());
  }
  vmsas_.push_back(*page);
  if (auto launched = launch_page(*page, PageSize::size_4k, psp::PageType::vmsa); !launched) {
    return Failure<Error>{launched.error()};
  }
  return *page;
}

}  // namespace softsnp::kvm

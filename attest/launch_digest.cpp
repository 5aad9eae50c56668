#include "attest/launch_digest.hpp"

#include <algorithm>

#include "attest/page_sums.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

// KVM gives every VMSA this gPA (firmware sheet 2.1).
constexpr GuestPhysical vmsa_gpa{0xFFFFFFFFF000};
constexpr u8 vmsa_type = 2;

}  // namespace

void LaunchDigest::add(const image::LaunchRegion& region) {
  if (region.type == image::PageType::normal) {
    add_pages(region.gpa, std::span(region.bytes).first(region.length), region.vmpl_permissions);
    return;
  }
  for (u64 at = 0; at < region.length; at += page_size) {
    extend(static_cast<u8>(region.type), region.gpa + at, {}, region.vmpl_permissions);
  }
}

void LaunchDigest::add_normal(GuestPhysical gpa, std::span<const u8> bytes) {
  add_pages(gpa, bytes, {});
}

void LaunchDigest::add_pages(GuestPhysical gpa, std::span<const u8> bytes,
                             const Permissions& permissions) {
  for (const psp::Digest& sum : page_sums(bytes)) {
    extend(static_cast<u8>(image::PageType::normal), gpa, sum, permissions);
    gpa = gpa + page_size;
  }
}

void LaunchDigest::add_unseen(image::PageType type, GuestPhysical gpa, u64 length) {
  for (u64 at = 0; at < length; at += page_size) {
    extend(static_cast<u8>(type), gpa + at, {});
  }
}

// TSC scale and offset are the firmware's to set (sheet 1.6).
void LaunchDigest::add_vmsa(const svm::Vmsa& vmsa) {
  svm::Vmsa measured = vmsa;
  measured.guest_tsc_scale = 0;
  measured.guest_tsc_offset = 0;
  if (!std::equal(std::begin(measured.raw), std::end(measured.raw), last_vmsa_.begin(),
                  last_vmsa_.end())) {
    last_vmsa_.assign(std::begin(measured.raw), std::end(measured.raw));
    last_sum_ = sha_(measured.raw);
  }
  extend(vmsa_type, vmsa_gpa, last_sum_);
}

void LaunchDigest::extend(u8 type, GuestPhysical gpa, const psp::Digest& contents,
                          const Permissions& permissions) {
  psp::PageInfo info;
  info.current = current_;
  info.contents = contents;
  info.page_type = type;
  std::copy(permissions.begin(), permissions.end(), info.vmpl_permissions);
  info.gpa = gpa.value();
  u8 bytes[sizeof info];
  store_le(bytes, info);
  current_ = sha_(bytes);
}

psp::Digest measure(const image::LaunchPlan& plan) {
  LaunchDigest digest;
  for (const image::LaunchRegion& region : plan.regions) {
    digest.add(region);
  }
  digest.add_vmsa(plan.entry_state);
  for (unsigned i = 1; i < plan.vcpu_count; ++i) {
    digest.add_vmsa(plan.ap_state);
  }
  return digest.value();
}

}  // namespace softsnp::attest

#include "attest/launch_digest.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

// KVM gives every VMSA this gPA (firmware sheet 2.1).
constexpr GuestPhysical vmsa_gpa{0xFFFFFFFFF000};
constexpr u8 vmsa_type = 2;

}  // namespace

void LaunchDigest::add(const image::LaunchRegion& region) {
  const bool seen = region.type == image::PageType::normal;
  for (u64 at = 0; at < region.length; at += page_size) {
    const psp::Digest contents =
        seen ? contents_of(std::span(region.bytes).subspan(at, page_size)) : psp::Digest{};
    extend(static_cast<u8>(region.type), region.gpa + at, contents, region.vmpl_permissions);
  }
}

void LaunchDigest::add_normal(GuestPhysical gpa, std::span<const u8> bytes) {
  for (u64 at = 0; at < bytes.size(); at += page_size) {
    extend(static_cast<u8>(image::PageType::normal), gpa + at,
           contents_of(bytes.subspan(at, page_size)));
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
  extend(vmsa_type, vmsa_gpa, contents_of(measured.raw));
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

const psp::Digest& LaunchDigest::contents_of(std::span<const u8> page) {
  if (!std::equal(page.begin(), page.end(), last_page_.begin(), last_page_.end())) {
    last_page_.assign(page.begin(), page.end());
    last_sum_ = sha_(page);
  }
  return last_sum_;
}

psp::Digest measure(const image::LaunchPlan& plan) {
  LaunchDigest digest;
  for (const image::LaunchRegion& region : plan.regions) {
    digest.add(region);
  }
  digest.add_vmsa(plan.entry_state);
  return digest.value();
}

}  // namespace softsnp::attest

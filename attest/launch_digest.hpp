// The SNP launch digest as whoever launches a guest can know it beforehand: SHA-384 chained over
// PAGE_INFO. Firmware sheet 2.1. Shares no code with the firmware of machine/psp.
#pragma once

#include <array>
#include <vector>

#include "attest/sha.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::attest {

class LaunchDigest {
 public:
  // start: what has been measured before.
  explicit LaunchDigest(const psp::Digest& start = {}) : current_(start) {}

  // Whole pages. bytes: for type normal as long as length, else not looked at.
  void add(const image::LaunchRegion& region);
  void add_normal(GuestPhysical gpa, std::span<const u8> bytes);
  // Pages whose contents are not measured.
  void add_unseen(image::PageType type, GuestPhysical gpa, u64 length);
  void add_vmsa(const svm::Vmsa& vmsa);

  const psp::Digest& value() const { return current_; }

 private:
  using Permissions = std::array<u8, 3>;
  void extend(u8 type, GuestPhysical gpa, const psp::Digest& contents,
              const Permissions& permissions = {});
  void add_pages(GuestPhysical gpa, std::span<const u8> bytes, const Permissions& permissions);

  Sha384 sha_;
  psp::Digest current_;
  // All vCPUs but the first start alike.
  std::vector<u8> last_vmsa_;
  psp::Digest last_sum_;
};

// The digest of a guest launched from the plan, which must be of mode snp.
psp::Digest measure(const image::LaunchPlan& plan);

}  // namespace softsnp::attest

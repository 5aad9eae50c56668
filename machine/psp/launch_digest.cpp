#include "machine/psp/launch_digest.hpp"

#include <algorithm>

#include "base/bytes.hpp"

namespace softsnp::psp {

Digest extend_digest(Sha384& sha, const Digest& current, const Digest& contents,
                     const MeasuredPage& page) {
  PageInfo info;
  info.current = current;
  info.contents = contents;
  info.page_type = static_cast<u8>(page.type);
  info.imi_page = page.imi ? 1 : 0;
  std::copy_n(page.vmpl_permissions, 3, info.vmpl_permissions);
  info.gpa = page.gpa.value();
  u8 bytes[sizeof info];
  store_le(bytes, info);
  return sha(bytes);
}

Digest vmsa_contents(Sha384& sha, const svm::Vmsa& vmsa) {
  svm::Vmsa measured = vmsa;
  measured.guest_tsc_scale = 0;
  measured.guest_tsc_offset = 0;
  return sha(measured.raw);
}

Digest page_contents(Sha384& sha, PageType type, std::span<const u8> bytes) {
  switch (type) {
    case PageType::normal:
      return sha(bytes);
    case PageType::vmsa:
      return vmsa_contents(sha, load_le<svm::Vmsa>(bytes.data()));
    case PageType::zero:
    case PageType::unmeasured:
    case PageType::secrets:
    case PageType::cpuid:
      return Digest{};
  }
  return Digest{};
}

}  // namespace softsnp::psp

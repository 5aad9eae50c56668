#include "guest/svsm/permissions.hpp"

namespace softsnp::svsm {

RmpAnswer revoke(Platform& platform, GuestPhysical page, PageSize size) {
  constexpr Vmpl targets[] = {Vmpl::vmpl1, Vmpl::vmpl2, Vmpl::vmpl3};
  RmpAnswer answer;
  for (const Vmpl target : targets) {
    answer = platform.rmpadjust(page, size, {target, 0, false});
    if (!answer.succeeded()) {
      break;
    }
  }
  return answer;
}

RmpAnswer grant(Platform& platform, GuestPhysical page, PageSize size, Vmpl guest) {
  return platform.rmpadjust(page, size, {guest, full_permissions, false});
}

RmpAnswer make_vmsa(Platform& platform, GuestPhysical page, Vmpl guest) {
  return platform.rmpadjust(page, PageSize::size_4k, {guest, snp::permission::read, true});
}

}  // namespace softsnp::svsm

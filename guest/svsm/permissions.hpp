// RMPADJUST as the calls need it. SVSM sheet 8.1. Freestanding.
#pragma once

#include "arch/snp/rmp.hpp"
#include "arch/svsm/result_code.hpp"
#include "guest/svsm/platform.hpp"

namespace softsnp::svsm {

// What a guest may do with its own pages.
inline constexpr u8 full_permissions = snp::permission::read | snp::permission::write |
                                       snp::permission::execute_user |
                                       snp::permission::execute_supervisor;

// An answer as the core protocol's result: EAX outside 0..15 is no code of the manual.
constexpr ResultCode result_of(const RmpAnswer& answer) {
  if (answer.outcome != RmpAnswer::Outcome::done) {
    return ResultCode::invalid_address;
  }
  if (answer.eax > 0xF) {
    return fail_unknown;
  }
  return answer.eax == 0 ? ResultCode::success : instruction_failed(answer.eax);
}

// Takes the page from VMPL1 to VMPL3, from the most to the least privileged; the VMSA bit goes too.
// Stops at the first failure.
RmpAnswer revoke(Platform& platform, GuestPhysical page, PageSize size);
// Gives it to the guest alone.
RmpAnswer grant(Platform& platform, GuestPhysical page, PageSize size, Vmpl guest);
// Makes it a VMSA that the guest can only read.
RmpAnswer make_vmsa(Platform& platform, GuestPhysical page, Vmpl guest);

}  // namespace softsnp::svsm

// The launch digest: a chain of SHA-384 over PAGE_INFO. Firmware sheet 2.1.
#pragma once

#include "arch/address.hpp"
#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/page_info.hpp"
#include "arch/svm/vmsa.hpp"
#include "machine/psp/sha384.hpp"

namespace softsnp::psp {

// What of a launch page is measured besides its contents.
struct MeasuredPage {
  PageType type = PageType::normal;
  bool imi = false;
  u8 vmpl_permissions[3] = {};  // VMPL1..VMPL3
  GuestPhysical gpa;
};

// The next value of the chain that stands at current.
Digest extend_digest(Sha384& sha, const Digest& current, const Digest& contents,
                     const MeasuredPage& page);
// CONTENTS of a VMSA page: TSC scale and offset are taken as zero (firmware sheet 1.6), because
// the firmware chooses them.
Digest vmsa_contents(Sha384& sha, const svm::Vmsa& vmsa);
// CONTENTS of a page of this type; bytes is its 4 KiB of plaintext.
Digest page_contents(Sha384& sha, PageType type, std::span<const u8> bytes);

}  // namespace softsnp::psp

// SW_EXITINFO1 of the AP creation event. GHCB sheet 3.7 (56421, "SNP AP Creation"). Freestanding.
#pragma once

#include "base/bits.hpp"
#include "base/types.hpp"

namespace softsnp::ghcb {

// Open: any number may arrive.
enum class ApRequest : u16 { create_on_init = 0, create = 1, destroy = 2 };

struct ApCreation {
  u32 apic_id = 0;
  u8 vmpl = 0;       // 4 bits
  u16 reserved = 0;  // [31:20]
  ApRequest request{};
};

constexpr ApCreation decode_ap_creation(u64 info1) {
  return {static_cast<u32>(info1 >> 32), static_cast<u8>(get_bits(info1, 19, 16)),
          static_cast<u16>(get_bits(info1, 31, 20)), static_cast<ApRequest>(info1 & 0xFFFF)};
}
constexpr u64 encode(const ApCreation& creation) {
  return u64{creation.apic_id} << 32 | u64{creation.reserved} << 20 | u64{creation.vmpl} << 16 |
         static_cast<u64>(creation.request);
}
static_assert(encode({3, 2, 0, ApRequest::create}) == 0x3'0002'0001);

}  // namespace softsnp::ghcb

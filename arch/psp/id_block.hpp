// ID block and ID authentication information. Firmware sheet 5.4 (56860 "ID block"). Freestanding.
#pragma once

#include "arch/psp/page_info.hpp"
#include "base/types.hpp"

namespace softsnp::psp {

struct IdBlock {
  Digest launch_digest;
  u8 family_id[0x10];
  u8 image_id[0x10];
  u32 version;
  u32 guest_svn;
  u64 policy;
};
static_assert(sizeof(IdBlock) == 0x60 && __builtin_offsetof(IdBlock, policy) == 0x58);

// ECDSA P-384 signature: R and S little-endian.
struct EcdsaSignature {
  static constexpr usize component_bytes = 0x48;
  u8 r[component_bytes];
  u8 s[component_bytes];
  u8 reserved[0x170];
};
static_assert(sizeof(EcdsaSignature) == 0x200);

struct EcdsaPublicKey {
  static constexpr u32 curve_p384 = 2;
  static constexpr usize component_bytes = 0x48;
  u32 curve;
  u8 qx[component_bytes];  // little-endian
  u8 qy[component_bytes];
  u8 reserved[0x370];
};
static_assert(sizeof(EcdsaPublicKey) == 0x404);

struct IdAuth {
  static constexpr u32 algorithm_ecdsa_p384_sha384 = 1;
  u32 id_key_algorithm;
  u32 author_key_algorithm;
  u8 reserved_008[0x38];
  EcdsaSignature id_block_signature;
  EcdsaPublicKey id_key;
  u8 reserved_644[0x3C];
  EcdsaSignature id_key_signature;
  EcdsaPublicKey author_key;
  u8 reserved_c84[0x37C];
};
static_assert(sizeof(IdAuth) == 0x1000);
static_assert(__builtin_offsetof(IdAuth, id_block_signature) == 0x040);
static_assert(__builtin_offsetof(IdAuth, id_key) == 0x240);
static_assert(__builtin_offsetof(IdAuth, id_key_signature) == 0x680);
static_assert(__builtin_offsetof(IdAuth, author_key) == 0x880);

}  // namespace softsnp::psp

// The keys that sign attestation reports: VCEK, from the chip's secret, and VLEK, from a hashstick
// that SNP_VLEK_LOAD brings. Pure functions: whoever knows the secret, such as the maker of the
// certificate, gets the same key. Firmware sheet 6 ("VCEK derivation"), 1.6 (SNP_VLEK_LOAD).
#pragma once

#include <optional>

#include "arch/psp/platform_buffers.hpp"
#include "machine/psp/config.hpp"
#include "machine/psp/p384.hpp"

namespace softsnp::psp {

// One chain for each byte of TCB_VERSION. The sheet gives the size alone; what the bytes mean is
// ours, and no guest and no verifier can see it.
using VlekHashstick = std::array<u8, WrappedVlek::hashstick_bytes>;

struct EndorsementKey {
  Digest seed;  // root of keys derived for guests
  P384Scalar private_key{};
};

// The VCEK of a chip at a TCB version.
EndorsementKey derive_vcek(const ChipSecret& secret, const TcbVersion& tcb);
inline EndorsementKey derive_vcek(const ChipSecret& secret, const TcbComponents& tcb,
                                  Product product) {
  return derive_vcek(secret, encode_tcb(product, tcb));
}

// The hashstick for `wanted` from one made for `made_for`; nothing if a component of wanted is
// above it.
std::optional<VlekHashstick> roll_back(const VlekHashstick& hashstick, const TcbVersion& made_for,
                                       const TcbVersion& wanted);

// The VLEK that a hashstick made for TCB version `made_for` gives at `wanted`; nothing if a
// component of wanted is above it.
std::optional<EndorsementKey> derive_vlek(const VlekHashstick& hashstick,
                                          const TcbVersion& made_for, const TcbVersion& wanted);

// Wrapped so that only the chip with this VCEK can load it; what AMD's key server does.
WrappedVlek wrap_vlek(const EndorsementKey& vcek, const VlekHashstick& hashstick,
                      const TcbVersion& tcb, const std::array<u8, 12>& iv);
// Nothing if the wrapping is not by this VCEK's key or was altered.
std::optional<VlekHashstick> unwrap_vlek(const EndorsementKey& vcek, const WrappedVlek& wrapped);

}  // namespace softsnp::psp

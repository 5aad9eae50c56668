// Launch digests of guests that start with a firmware image. Firmware sheet 2.1 to 2.5.
#pragma once

#include <optional>

#include "attest/kernel_hashes.hpp"
#include "attest/launch_digest.hpp"
#include "attest/reset_state.hpp"
#include "image/firmware.hpp"

namespace softsnp::attest {

struct Vcpus {
  VmmType vmm = VmmType::qemu;
  u32 count = 1;
  u32 signature = 0;
  u64 sev_features = 1;
};
inline constexpr u32 maximum_vcpus = 4096;  // KVM's limit

using Hashes = std::optional<boot::ovmf::KernelHashes>;

// hashes: present when the monitor hands the kernel over (kernel-hashes=on). firmware_digest: what
// the firmware's own pages come to, instead of its bytes; its sections are read all the same.
Result<psp::Digest, image::ImageError> measure_snp(
    const image::Firmware& firmware, const Hashes& hashes, const Vcpus& vcpus,
    const std::optional<psp::Digest>& firmware_digest = {});

// svsm: parsed for the place below the firmware (svsm_end).
Result<psp::Digest, image::ImageError> measure_svsm(const image::Firmware& firmware,
                                                    const image::Firmware& svsm,
                                                    const Vcpus& vcpus);
// Where an SVSM image ends: below the firmware's variables, which are a flash of their own.
// Nothing if there is no room.
std::optional<GuestPhysical> svsm_end(const image::Firmware& firmware, u64 variables_size);

// SEV-ES if vcpus is present; its features are not used.
Result<Sha256Sum, image::ImageError> measure_sev(const image::Firmware& firmware,
                                                 const Hashes& hashes,
                                                 const std::optional<Vcpus>& vcpus);

}  // namespace softsnp::attest

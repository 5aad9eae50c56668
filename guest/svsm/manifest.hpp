// The services manifest and the manifests of single services. SVSM sheet 5. Freestanding.
#pragma once

#include "arch/svsm/attestation.hpp"
#include "guest/svsm/vtpm.hpp"

namespace softsnp::svsm {

struct Manifest {
  static constexpr usize max_bytes = 2048;
  u8 bytes[max_bytes];
  u32 size = 0;
};

// All services that are on offer: the vTPM, if there is one.
Manifest services_manifest(Vtpm* vtpm);
// The data of one service, without a header. False: no such service.
bool service_manifest(Vtpm* vtpm, const Guid& service, Manifest& manifest);

}  // namespace softsnp::svsm

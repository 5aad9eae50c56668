// What a vCPU still has to do when the VMM comes back from an exit.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/types.hpp"

namespace softsnp::kvm {

struct NothingPending {};
// IN through the GHCB: the value goes into RAX.
struct GhcbIn {
  u8 size = 1;
};
// INS through the GHCB: the bytes go to the scratch area.
struct GhcbStringIn {
  u64 scratch = 0;
  u64 length = 0;
};
struct GhcbMmioRead {
  u64 scratch = 0;
  u64 length = 0;
};
struct PscByMsr {
  u64 request = 0;
};
struct PscByEvent {};
// A guest request, copied already, that waits for its certificates.
struct CertificatesWanted {};
// IN of a plain VM: into RAX, then past the instruction.
struct PlainIn {
  u8 size = 1;
};
struct PlainStringIn {
  u8 size = 1;
  u64 count = 0;
};
// A hypercall: its result goes into RAX, of the GHCB's copy or of the vCPU.
struct GhcbHypercall {};
struct PlainHypercall {};
// A load of the instruction under emulation.
struct PlainMmioRead {};
// A store of it: go on with the rest.
struct PlainMmioWrite {};

using Pending = std::variant<NothingPending, GhcbIn, GhcbStringIn, GhcbMmioRead, PscByMsr,
                             PscByEvent, CertificatesWanted, GhcbHypercall, PlainIn, PlainStringIn,
                             PlainHypercall, PlainMmioRead, PlainMmioWrite>;

// What the VMM said.
struct CertificatesAnswer {
  u64 ret = 0;
  u64 npages = 0;
};
struct VmmAnswer {
  std::vector<u8> bytes;
  std::optional<u64> ret;
  std::optional<CertificatesAnswer> certificates;
};

}  // namespace softsnp::kvm

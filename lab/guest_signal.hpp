// A guest that helps its host to a scene: what it has just written to an I/O port, by an intercept
// or in the clear through its GHCB.
#pragma once

#include <optional>

#include "arch/ghcb/ghcb.hpp"
#include "arch/svm/vmcb.hpp"
#include "machine/port/host_port.hpp"

namespace softsnp::lab {

struct GhcbView {
  SystemPhysical at;
  ghcb::Ghcb page{};
};

// The GHCB of an SNP guest that has just exited through it; nothing if it exited otherwise.
std::optional<GhcbView> read_ghcb(machine::HostPort& port, const svm::Vmcb& vmcb);
// The value that the guest writes to that port by this exit.
std::optional<u32> port_write(machine::HostPort& port, const svm::Vmcb& vmcb, u16 number);

}  // namespace softsnp::lab

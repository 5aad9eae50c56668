// Host memory management and platform state of one machine, in the order of their dependence.
#pragma once

#include "hypervisor/host/asid_pool.hpp"
#include "hypervisor/host/memory.hpp"
#include "hypervisor/host/page_mover.hpp"
#include "hypervisor/host/platform.hpp"
#include "hypervisor/host/psp_mailbox.hpp"
#include "hypervisor/host/rmp.hpp"
#include "hypervisor/host/sev_device.hpp"
#include "hypervisor/host/sev_mailbox.hpp"
#include "hypervisor/host/user_memory.hpp"

namespace softsnp::host {

struct HostKernel {
  explicit HostKernel(machine::HostPort& port, const DirectMapConfig& direct_map = {},
                      const UserMemoryConfig& user_memory = {})
      : memory(port, direct_map),
        users(memory, user_memory),
        mover(memory, users),
        psp(memory),
        rmp(memory, psp),
        platform(memory, psp, rmp),
        sev(memory, psp, rmp, platform),
        asids(port, platform),
        sev_device(memory, psp, platform, rmp, sev) {}
  HostKernel(const HostKernel&) = delete;
  HostKernel& operator=(const HostKernel&) = delete;

  machine::HostPort& port() { return memory.port(); }

  HostMemory memory;
  UserMemory users;
  PageMover mover;
  PspMailbox psp;
  Rmp rmp;
  Platform platform;
  SevMailbox sev;
  AsidPool asids;
  SevDevice sev_device;
};

}  // namespace softsnp::host

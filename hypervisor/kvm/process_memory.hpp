// The wall's view of host/user_memory and host/page_mover.
#pragma once

#include "hypervisor/host/host_kernel.hpp"
#include "hypervisor/kvm/memory_api.hpp"

namespace softsnp::kvm {

class ProcessMemoryImpl final : public ProcessMemory {
 public:
  explicit ProcessMemoryImpl(host::HostKernel& host) : host_(host) {}

  Result<HostVirtual, Error> map(u64 bytes) override;
  Result<void, Error> unmap(HostVirtual first) override;
  Result<void, Error> read(HostVirtual at, std::span<u8> to) override;
  Result<void, Error> write(HostVirtual at, std::span<const u8> from) override;
  std::vector<RamBlock> blocks() const override;

  MoveReport compact() override { return host_.mover.compact(); }
  MoveReport migrate(RamBlock range, unsigned node) override;
  MoveReport swap_out(RamBlock range) override;
  MoveReport swap_in(RamBlock range) override;
  MoveReport merge(std::span<const RamBlock> ranges) override;
  ProcessMemoryReport report() const override;

 private:
  host::HostKernel& host_;
};

}  // namespace softsnp::kvm

// Vm::set_memory_region(): slots with memory of their own, for VMMs that give a guest memory once.
#pragma once

#include <map>

#include "hypervisor/kvm/guest_memory.hpp"

namespace softsnp::kvm {

class OwnRam {
 public:
  // Destroyed after memory, which it does not use then.
  OwnRam(host::HostKernel& host, GuestMemory& memory) : host_(host), memory_(memory) {}
  ~OwnRam();
  OwnRam(const OwnRam&) = delete;
  OwnRam& operator=(const OwnRam&) = delete;

  Result<void, Error> set(u32 slot, GuestPhysical gpa, u64 size, bool has_private_memory);

 private:
  struct Ram {
    HostVirtual block;
    u32 memfd = 0;  // 0: none
  };
  Result<Ram, Error> make(GuestPhysical gpa, u64 size, bool has_private_memory);
  void release(const Ram& ram);
  Result<void, Error> remove(u32 slot);

  host::HostKernel& host_;
  GuestMemory& memory_;
  std::map<u32, Ram> by_slot_;
};

}  // namespace softsnp::kvm

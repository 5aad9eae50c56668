// What the hypervisor tells whoever watches. Observers see and never steer: every method is a
// no-op here, and nothing is returned.
#pragma once

#include <array>

#include "arch/address.hpp"

namespace softsnp::kvm {

// One VMGEXIT with its answer. MSR protocol: request and answer are whole MSR values. Page
// protocol: the answer is SW_EXITINFO1/2 as written back.
struct VmgexitEvent {
  u32 vcpu = 0;
  Vmpl vmpl = Vmpl::vmpl0;  // who asked
  bool msr_protocol = false;
  u64 code = 0;           // MSR [11:0] or SW_EXITCODE
  const char* name = "";  // of the code
  u64 request = 0;        // MSR value, or SW_EXITINFO1
  u64 request2 = 0;       // SW_EXITINFO2
  u64 rax = 0, rcx = 0;   // page protocol: as sent, 0 if not valid
  u64 answer = 0;
  u64 answer2 = 0;
};

// The attribute of a range was set by the VMM.
struct PageStateEvent {
  GuestPhysical first;
  u64 bytes = 0;
  bool is_private = false;
};

enum class NpfResolution : u8 {
  mapped_4k,
  mapped_2m,
  mmio_entry,     // present with reserved bits: the guest gets #VC 400h
  mmio_emulated,  // plain VMs
  smashed,        // the 2 MiB RMP entry was split
  split,          // the 2 MiB nested mapping was split
  mismatch,       // private access to a shared page or the reverse: the VMM is asked
  spurious,
  out_of_memory,
  no_backing,  // the VMM has no memory at the slot's addresses
  unresolved,
};
const char* name(NpfResolution resolution);

struct NpfEvent {
  u32 vcpu = 0;
  GuestPhysical gpa;
  u64 exitinfo1 = 0;
  NpfResolution resolution = NpfResolution::spurious;
  Vmpl vmpl = Vmpl::vmpl0;
};

// An access of the host kernel or VMM to guest memory was stopped by the RMP.
struct HostRmpFaultEvent {
  SystemPhysical address;
  u64 error_code = 0;
};

struct InjectionEvent {
  u32 vcpu = 0;
  u64 eventinj = 0;
  Vmpl vmpl = Vmpl::vmpl0;
};

// Totals since the VM was created.
struct Counters {
  std::array<u64, 0x100> exits{};  // by exit code below 100h
  u64 vmruns = 0;
  u64 npf = 0;
  u64 vmgexit_msr = 0;
  u64 vmgexit_page = 0;
  u64 io_exits = 0;
  u64 mmio_exits = 0;
  u64 msr_reads = 0;
  u64 msr_writes = 0;
  u64 cpuid = 0;
  u64 interrupts = 0;
  u64 nmis = 0;
  u64 halts = 0;
  u64 psmash = 0;
  u64 pages_mapped_4k = 0;
  u64 pages_mapped_2m = 0;
  u64 pages_made_private = 0;  // 4 KiB units, by attribute
  u64 pages_made_shared = 0;
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void vmgexit(const VmgexitEvent&) {}
  virtual void page_state(const PageStateEvent&) {}
  virtual void npf(const NpfEvent&) {}
  virtual void host_rmp_fault(const HostRmpFaultEvent&) {}
  virtual void injection(const InjectionEvent&) {}
};

}  // namespace softsnp::kvm

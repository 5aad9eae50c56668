// Why a vCPU came back to the VMM: KVM's exits as a sum. Visit without a default branch; a new
// exit does not build until every VMM answers it. GHCB sheet 5; Linux Documentation/virt/kvm.
#pragma once

#include <array>
#include <string>
#include <variant>
#include <vector>

#include "arch/address.hpp"

namespace softsnp::kvm {

// KVM_EXIT_IO. Elements of size bytes (1, 2, 4), count of them, to one port. Out: data holds
// size*count bytes. In: the VMM answers with Vcpu::complete_io(bytes of that length).
struct IoExit {
  bool in = false;
  u8 size = 1;
  u16 port = 0;
  u32 count = 1;
  std::vector<u8> data;
};

// KVM_EXIT_MMIO, at most 8 bytes. Read: answered with Vcpu::complete_mmio().
struct MmioExit {
  GuestPhysical address;
  bool write = false;
  u8 length = 0;
  std::array<u8, 8> data{};
};

// KVM_EXIT_HYPERCALL: nr 12 = KVM_HC_MAP_GPA_RANGE, encoding in GHCB sheet 5. Answered with
// Vcpu::complete_hypercall(ret).
struct HypercallExit {
  u64 nr = 0;
  std::array<u64, 3> args{};
};

// KVM_EXIT_SNP_REQ_CERTS: the guest wants a report with its certificates, and has npages shared
// pages from gpa for them. Answered with Vcpu::complete_certificates(); firmware is asked after it.
struct CertificatesExit {
  GuestPhysical gpa;
  u64 npages = 0;
};

// KVM_EXIT_MEMORY_FAULT: the access disagrees with the private attribute of the range. The VMM
// changes the attribute and runs again, or gives up.
struct MemoryFaultExit {
  GuestPhysical address;
  u64 size = 0;
  bool is_private = false;
};

// KVM_EXIT_SYSTEM_EVENT, type SEV_TERM: the guest asked for termination.
struct TerminationExit {
  u64 reason_set = 0;
  u64 reason_code = 0;
  u64 extra = 0;  // EXITINFO2 of the page form, else 0
};

// KVM_EXIT_IOAPIC_EOI (split irqchip): a level-triggered vector was acknowledged.
struct IoapicEoiExit {
  u8 vector = 0;
};

// KVM_EXIT_SHUTDOWN: triple fault.
struct ShutdownExit {};

// KVM_EXIT_FAIL_ENTRY: VMRUN refused; exit_code is VMEXIT_INVALID and its kin, or exception: the
// VMRUN instruction itself faulted.
struct FailEntryExit {
  u64 exit_code = 0;
  std::string why;
};

// The guest can make no progress: HLT with interrupts off and no NMI source, or a fault loop.
struct NoProgressExit {
  std::string why;
};

// KVM_EXIT_INTERNAL_ERROR: something the hypervisor does not support or refuses (KVM_RUN = -E...).
struct InternalErrorExit {
  int error = 0;  // errno as KVM_RUN would return, positive
  std::string why;
};

// The deadline given to run() was reached, or the VMM asked the vCPU to stop.
struct InterruptedExit {};

using KvmExit = std::variant<IoExit, MmioExit, HypercallExit, CertificatesExit, MemoryFaultExit,
                             TerminationExit, IoapicEoiExit, ShutdownExit, FailEntryExit,
                             NoProgressExit, InternalErrorExit, InterruptedExit>;

}  // namespace softsnp::kvm

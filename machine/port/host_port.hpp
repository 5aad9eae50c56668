// The host port: all that host software (the hypervisor) can ask of the machine. The only machine
// header that hypervisor/ may include. A private page in the clear cannot be asked for because
// the port has no such function: loads and stores go with the C-bit clear.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "arch/address.hpp"
#include "arch/snp/rmp.hpp"
#include "base/result.hpp"

namespace softsnp::machine {

// #PF of a host access: error code with the RMP bit (hardware sheet 5.4), or a bus error (no
// DRAM there, error_code 0).
struct HostFault {
  u64 error_code = 0;
  SystemPhysical address;
};

// An entry of the IOMMU's event log. rmp: the RMP said no; else there is no DRAM.
struct DmaFault {
  u16 device = 0;  // bus, device, function
  SystemPhysical address;
  bool write = false;
  bool rmp = false;
};

// #GP or #UD of a privileged host instruction.
enum class HostException : u8 { ud, gp };

struct CpuidResult {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// What neither VMRUN nor VMLOAD moves for a guest without SEV-ES; host software moves it around
// VMRUN (APM2 15.5.1). Guests with SEV-ES have all of it in the VMSA.
struct CoreRegisters {
  std::array<u64, 16> gpr{};  // x86::Gpr order; RAX and RSP are the VMCB's and ignored here
  std::array<u64, 4> dr{};    // DR0-DR3
  u64 xcr0 = 1;
  u64 xss = 0;
  u32 tsc_aux = 0;
  u32 pkru = 0;
  std::array<u8, 512> fxsave{};  // FXSAVE64 image
};

class HostPort {
 public:
  virtual ~HostPort() = default;

  // DRAM exists at [0, dram_bytes()).
  virtual u64 dram_bytes() const = 0;
  virtual unsigned core_count() const = 0;
  // The processor's own CPUID, without any guest's filter.
  virtual CpuidResult cpuid(u32 leaf, u32 subleaf) const = 0;

  // Loads and stores by sPA, C clear. Loads are not RMP-checked; a store is checked with the size
  // of the mapping it goes through (hardware sheet 5.2, host rows). A faulting store writes
  // nothing.
  virtual Result<void, HostFault> load(SystemPhysical at, std::span<u8> to) = 0;
  virtual Result<void, HostFault> store(SystemPhysical at, std::span<const u8> from,
                                        PageSize mapping_size = PageSize::size_4k) = 0;
  // A store of zeros to a page, whole 2 MiB if extent says so, checked alike. The host's memory
  // behind it is released.
  virtual Result<void, HostFault> clear_page(SystemPhysical page,
                                             PageSize mapping_size = PageSize::size_4k,
                                             PageSize extent = PageSize::size_4k) = 0;

  virtual Result<snp::RmpResult, HostException> rmpupdate(SystemPhysical page,
                                                          const snp::RmpUpdate& value) = 0;
  virtual Result<snp::RmpResult, HostException> psmash(SystemPhysical page) = 0;
  virtual Result<snp::RmpResult, HostException> rmpread(SystemPhysical page,
                                                        snp::RmpUpdate& out) = 0;

  virtual Result<u64, HostException> rdmsr(unsigned core, u32 msr) = 0;
  virtual Result<void, HostException> wrmsr(unsigned core, u32 msr, u64 value) = 0;
  virtual void wbinvd(unsigned core) = 0;

  // VMRUN on core with RAX = vmcb. Runs the guest until #VMEXIT; exit code and exit information
  // are in the VMCB afterwards. A physical timer interrupt arrives after max_instructions retired
  // guest instructions: INTR exit (60h) if intercepted.
  virtual Result<void, HostException> vmrun(unsigned core, SystemPhysical vmcb,
                                            u64 max_instructions) = 0;

  // VMLOAD and VMSAVE on core: FS, GS, TR, LDTR, KernelGsBase, STAR, LSTAR, CSTAR, SFMASK and
  // SYSENTER_* between the VMCB's save area and the core (APM2 15.5.2).
  virtual Result<void, HostException> vmload(unsigned core, SystemPhysical vmcb) = 0;
  virtual Result<void, HostException> vmsave(unsigned core, SystemPhysical vmcb) = 0;
  // The core's registers that a guest without SEV-ES shares with its host.
  virtual void write_registers(unsigned core, const CoreRegisters& from) = 0;
  virtual void read_registers(unsigned core, CoreRegisters& to) = 0;

  // The AMD-SP mailbox: command id (firmware sheet 1.3) and sPA of the command buffer. Returns
  // the 16-bit status; outputs are in the buffer or where it points.
  virtual u16 psp_command(u32 command, SystemPhysical buffer) = 0;

  // A device's DMA, behind the IOMMU in pass-through: it names sPAs, its bytes have no key, and the
  // IOMMU admits pages of the hypervisor alone (hardware sheet 2.3, 5.1). A refused access moves
  // nothing and leaves an entry in the IOMMU's event log.
  virtual bool dma_read(u16 device, SystemPhysical at, std::span<u8> to) = 0;
  virtual bool dma_write(u16 device, SystemPhysical at, std::span<const u8> from) = 0;
  // Oldest first, at most 512.
  virtual std::vector<DmaFault> dma_faults() const = 0;

  // Time-stamp counter of the host: one tick per retired instruction, plus what idle() adds.
  virtual u64 tsc() const = 0;
  virtual u64 tsc_frequency_hz() const = 0;
  // All cores halted until the given TSC value: the clock jumps there (never backwards).
  virtual void idle_until(u64 tsc) = 0;
};

}  // namespace softsnp::machine

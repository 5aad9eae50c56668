// KVM's API in C++: what a VMM may ask of the hypervisor. VMMs include this and exits.hpp alone.
// Errors are errno values, positive. Source: Linux Documentation/virt/kvm/{api.rst,
// x86/amd-memory-encryption.rst}; GHCB sheet 5; firmware sheet 1.4, 2.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arch/address.hpp"
#include "arch/psp/platform_buffers.hpp"
#include "arch/svm/vmsa.hpp"
#include "base/result.hpp"
#include "hypervisor/host/direct_map_policy.hpp"
#include "hypervisor/host/sev_certificates.hpp"
#include "hypervisor/kvm/events.hpp"
#include "hypervisor/kvm/exits.hpp"
#include "hypervisor/kvm/memory_api.hpp"

namespace softsnp::machine {
class HostPort;
}

namespace softsnp::kvm {

// KVM_X86_DEFAULT_VM, SEV_VM, SEV_ES_VM, SNP_VM.
enum class VmType : u8 { plain, sev, sev_es, snp };
// The guest's memory has a key.
constexpr bool has_encrypted_memory(VmType type) {
  return type != VmType::plain;
}
// Its registers are in a VMSA; it talks through a GHCB.
constexpr bool has_encrypted_state(VmType type) {
  return type == VmType::sev_es || type == VmType::snp;
}

// KVM_SEV_SNP_LAUNCH_START.
struct LaunchStart {
  u64 policy = 0x30000;
};

// KVM_SEV_SNP_PAGE_TYPE_*: numbers of the firmware (firmware sheet 1.6).
enum class LaunchPageType : u8 {
  normal = 1,
  vmsa = 2,
  zero = 3,
  unmeasured = 4,
  secrets = 5,
  cpuid = 6
};

// KVM_SEV_SNP_LAUNCH_UPDATE: length bytes from gpa; bytes empty for zero and secrets pages.
struct LaunchUpdate {
  GuestPhysical gpa;
  u64 length = 0;  // multiple of 4096
  LaunchPageType type = LaunchPageType::normal;
  std::span<const u8> bytes;
};

// KVM_SEV_SNP_LAUNCH_FINISH.
struct LaunchFinish {
  std::array<u8, 32> host_data{};
  bool vcek_disabled = false;
  // id block (96 bytes) and id auth (4096 bytes); empty = not given.
  std::vector<u8> id_block;
  std::vector<u8> id_auth;
  bool auth_key_enabled = false;
};

// KVM_SEV_LAUNCH_START of SEV and SEV-ES VMs: the owner's session and Diffie-Hellman certificate,
// both or none (firmware sheet 7.3, 7.4).
struct SevLaunchStart {
  u32 policy = 0;
  std::vector<u8> dh_certificate;
  std::vector<u8> session;
};

// KVM_SEV_LAUNCH_MEASURE (firmware sheet 7.3).
struct SevMeasurement {
  std::array<u8, 32> hmac{};
  std::array<u8, 16> nonce{};
};

struct CpuidEntry {
  u32 leaf = 0, subleaf = 0;
  bool subleaf_significant = false;
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// KVM_MP_STATE_*, and a vCPU whose VMSA the guest has taken away (SNP AP creation, destroy).
enum class MpState : u8 {
  runnable,
  halted,
  uninitialized,  // an AP that has had no INIT
  init_received,  // waits for SIPI
  ap_reset_hold,
  no_vmsa
};
const char* name(MpState state);

class Vcpu {
 public:
  virtual ~Vcpu() = default;
  // Order of creation, from 0: the bootstrap processor.
  virtual u32 index() const = 0;
  virtual u32 apic_id() const = 0;
  // KVM_GET_MP_STATE.
  virtual MpState mp_state() const = 0;
  // Whose VMSA runs, or ran last. Always 0 but in SNP VMs.
  virtual Vmpl vmpl() const = 0;
  // KVM_SET_REGS/SREGS/FPU in one: the state in VMSA form. SNP: the initial VMSA to be measured;
  // sev_features, EFER.SVME are filled by the hypervisor. -EPERM once launched.
  virtual Result<void, Error> set_state(const svm::Vmsa& state) = 0;
  // Plain VMs: the state now. SNP guests after launch: only what the VMCB shows (RIP is 0).
  virtual svm::Vmsa state() const = 0;
  // KVM_SET_CPUID2.
  virtual void set_cpuid(std::span<const CpuidEntry> entries) = 0;
  // KVM_RUN of this vCPU alone: runs until an exit; returns InterruptedExit when the host TSC
  // reaches deadline_tsc. In-hypervisor idle: HLT jumps time to the next timer event but never past
  // the deadline. Vm::run() runs them all.
  virtual KvmExit run(u64 deadline_tsc) = 0;
  virtual void complete_io(std::span<const u8> bytes) = 0;
  virtual void complete_mmio(std::span<const u8> bytes) = 0;
  virtual void complete_hypercall(u64 ret) = 0;
  // ret 0: the certificates are written; ENOSPC: npages are needed; EAGAIN: the guest is to ask
  // again; EIO: anything else that went wrong. Other values end the VM.
  virtual void complete_certificates(u64 ret, u64 npages) = 0;
  // KVM_INTERRUPT (split irqchip, ExtINT from the 8259 through LINT0): queues one vector. The VMM
  // calls it only when ready_for_extint().
  virtual bool ready_for_extint() const = 0;
  virtual void queue_extint(u8 vector) = 0;
  // The 8259's INTR line: asks run() to return InterruptedExit as soon as ready_for_extint().
  virtual void request_extint_window(bool wanted) = 0;
  virtual void inject_nmi() = 0;
  // The vCPU is halted waiting for an interrupt; no timer is armed that could wake it.
  virtual bool halted() const = 0;
};

// An exit, and whose it is: the VMM answers on that vCPU. InterruptedExit and NoProgressExit are of
// the VM; vcpu is then the one whose turn it is.
struct VmExit {
  Vcpu* vcpu = nullptr;
  KvmExit exit;
};

class Vm {
 public:
  virtual ~Vm() = default;

  // KVM_SET_USER_MEMORY_REGION2: creates, deletes, moves a slot or changes its flags. What is
  // behind it, RAM and guest_memfd, stays as it is. EBADF, EEXIST, EINVAL, ENOMEM.
  virtual Result<void, Error> set_user_memory_region(const UserMemoryRegion& region) = 0;
  // KVM_GET_DIRTY_LOG: a bit for each page written since the last call. ENOENT.
  virtual Result<std::vector<u64>, Error> get_dirty_log(u32 slot) = 0;
  // KVM_CREATE_GUEST_MEMFD (SNP VMs) and its close(), after which the contents are gone. EBADF,
  // EINVAL.
  virtual Result<u32, Error> create_guest_memfd(u64 bytes) = 0;
  virtual Result<void, Error> close_guest_memfd(u32 file) = 0;
  // KVM_MEMORY_ENCRYPT_REG_REGION, UNREG_REGION: the range's pages stay where they are until it is
  // unregistered or the VM is gone, whatever becomes of slots. EINVAL, ENOMEM, ENOTTY.
  virtual Result<void, Error> register_region(HostVirtual first, u64 bytes) = 0;
  virtual Result<void, Error> unregister_region(HostVirtual first, u64 bytes) = 0;
  // All of that at once for whoever does not care: a slot with RAM and, in SNP VMs, a guest_memfd
  // of its own; size 0 deletes all three. The VM has the same VMM address space as all others.
  virtual Result<void, Error> set_memory_region(u32 slot, GuestPhysical gpa, u64 size) = 0;
  // KVM_SET_MEMORY_ATTRIBUTES: private (true) or shared, page multiples, together with what a VMM
  // does next: the other backing's pages are freed (their contents are gone; QEMU:
  // ram_block_discard_range). Zaps nested mappings. EINVAL, ENOENT (no memory there and private
  // wanted).
  virtual Result<void, Error> set_private(GuestPhysical gpa, u64 size, bool is_private) = 0;
  // No call of KVM's, but the host's: the AMD-SP moves private pages of an SNP VM (SNP_PAGE_MOVE,
  // SNP_PAGE_SWAP_OUT, SNP_PAGE_SWAP_IN), to a NUMA node, out of DRAM, and back, as a fault would.
  // Stops at the first page that the firmware refuses: EIO.
  virtual Result<MoveReport, Error> migrate_private(GuestPhysical gpa, u64 size, unsigned node) = 0;
  virtual Result<MoveReport, Error> swap_out_private(GuestPhysical gpa, u64 size) = 0;
  virtual Result<MoveReport, Error> swap_in_private(GuestPhysical gpa, u64 size) = 0;
  virtual bool is_private(GuestPhysical page) const = 0;
  // The VMM's own view of guest RAM (its mmap of the shared backing), for loaders and devices:
  // through the host's direct map, so RMP-checked. EFAULT: no memory, or the page is private.
  virtual Result<void, Error> read_shared(GuestPhysical gpa, std::span<u8> to) = 0;
  virtual Result<void, Error> write_shared(GuestPhysical gpa, std::span<const u8> from) = 0;

  // KVM_MEMORY_ENCRYPT_OP. A firmware refusal sets Error::firmware; on a rejected CPUID page
  // the corrected page is in *corrected.
  virtual Result<void, Error> launch_start(const LaunchStart& start) = 0;
  virtual Result<void, Error> launch_update(const LaunchUpdate& update,
                                            std::vector<u8>* corrected = nullptr) = 0;
  // Measures one VMSA per vCPU in index order, then finishes. After it, the digest is known.
  virtual Result<void, Error> launch_finish(const LaunchFinish& finish) = 0;

  // The same of SEV and SEV-ES VMs, in this order; ENOTTY for others. Memory is written with
  // write_shared() first, then encrypted in place: whole pages.
  virtual Result<void, Error> sev_launch_start(const SevLaunchStart& start) = 0;
  virtual Result<void, Error> sev_launch_update_data(GuestPhysical gpa, u64 length) = 0;
  virtual Result<void, Error> sev_launch_update_vmsa() = 0;  // SEV-ES: all vCPUs, in index order
  virtual Result<SevMeasurement, Error> sev_launch_measure() = 0;
  virtual Result<void, Error> sev_launch_secret(GuestPhysical gpa, std::span<const u8> header,
                                                std::span<const u8> packet) = 0;
  virtual Result<void, Error> sev_launch_finish() = 0;
  // KVM_SEV_DBG_DECRYPT, KVM_SEV_DBG_ENCRYPT: multiples of 16 bytes within one page.
  virtual Result<void, Error> sev_debug_read(GuestPhysical gpa, std::span<u8> to) = 0;
  virtual Result<void, Error> sev_debug_write(GuestPhysical gpa, std::span<const u8> from) = 0;
  // KVM_SEV_SNP_ENABLE_REQ_CERTS: extended guest requests for a report exit with CertificatesExit.
  // Without it they get an empty table. ENOTTY: not an SNP VM.
  virtual Result<void, Error> enable_certificate_exits() = 0;

  // EEXIST: the APIC id is taken; EINVAL: the launch is over. The first is the bootstrap processor,
  // the others wait for INIT and SIPI or, in SNP VMs, for AP creation. vCPU i has core
  // i % core_count.
  virtual Result<Vcpu*, Error> create_vcpu(u32 apic_id) = 0;
  // The host kernel's scheduler over the threads of all vCPUs: they take turns by index, those that
  // wait are passed over, and when all wait, the clock jumps to the next timer, device event or the
  // deadline. NoProgressExit names every vCPU if nothing can wake any of them again.
  virtual VmExit run(u64 deadline_tsc) = 0;

  // KVM_SIGNAL_MSI: also how a split IOAPIC delivers. address/data as on the bus (APM2 16).
  virtual void signal_msi(u64 address, u32 data) = 0;
  // Vectors the IOAPIC routes level-triggered: EOIs of these exit with IoapicEoiExit.
  virtual void set_ioapic_level_vectors(std::span<const u8> vectors) = 0;
  // Time now and its rate (host TSC); devices derive their clocks from it.
  virtual u64 now() const = 0;
  virtual u64 tsc_frequency_hz() const = 0;
  // An event of a device is due at that TSC: run() returns InterruptedExit no later. 0 = none.
  virtual void set_next_device_event(u64 tsc) = 0;
  // Totals since the VM was made (events.hpp).
  virtual Counters counters() const { return {}; }
};

struct VmConfig {
  VmType type = VmType::plain;
  Observer* observer = nullptr;  // may be null; outlives the Vm
  // Guest requests that reach the firmware in a second of the host's time; more are answered BUSY.
  // 0 = no limit. Of the host kernel, as plain guest requests never leave it.
  u32 guest_requests_per_second = 0;
  PinPolicy pin_policy = PinPolicy::registered_regions;
  // KVM_SEV_INIT2's vmsa_features: SEV_FEATURES of VMPL0 beside SNPActive. EINVAL: not supported.
  u64 vmsa_features = 0;
  // VMPL0 may run the VMPLs below it with alternate injection (GHCB feature bit 9). EINVAL unless
  // VMPL0 has restricted injection, whose doorbell page brings it their interrupts.
  bool alternate_injection = false;
};

// The platform's Diffie-Hellman certificate and what vouches for it (firmware sheet 7.4).
using SevPlatformCertificates = host::SevPlatformCertificates;

using host::DirectMapConfig;
using host::DirectMapPolicy;

// The host kernel's direct map as a whole.
struct DirectMapReport {
  host::DirectMapCounters counters;
  host::DirectMapCensus census;
  u64 assigned_pages = 0;  // 4 KiB pages that the host has in the RMP
};

// The host kernel: owns host memory management and the VMs. Initialises the platform (SNP_INIT_EX
// with all that Linux does before it) on first need of an SNP VM.
class Kvm {
 public:
  virtual ~Kvm() = default;
  virtual Result<std::unique_ptr<Vm>, Error> create_vm(const VmConfig& config) = 0;
  // KVM_GET_SUPPORTED_CPUID: host CPUID with what this hypervisor supports, KVM leaves included.
  virtual std::vector<CpuidEntry> supported_cpuid(VmType type) const = 0;
  // /dev/sev: what the host's owner tells the firmware, which is initialised first.
  // PDH_CERT_EXPORT of the legacy firmware, which is brought up for it.
  virtual Result<SevPlatformCertificates, Error> sev_pdh_cert_export() = 0;
  virtual Result<void, Error> snp_commit() = 0;
  virtual Result<void, Error> snp_set_config(const psp::SnpConfig& config) = 0;
  virtual Result<void, Error> snp_vlek_load(const psp::WrappedVlek& wrapped) = 0;
  virtual DirectMapReport direct_map() const = 0;
  // Of the one process that all VMs belong to.
  virtual ProcessMemory& memory() = 0;
  // Pages that could not be taken back from the RMP (Linux: snp_leak_pages).
  struct LeakedPage {
    SystemPhysical page;
    PageSize size = PageSize::size_4k;
  };
  virtual std::vector<LeakedPage> leaked_pages() const = 0;
};

// port must outlive the result.
// lock_limit_bytes: RLIMIT_MEMLOCK of the VMM's process; as a default it may lock all it has.
std::unique_ptr<Kvm> make_kvm(machine::HostPort& port, const DirectMapConfig& direct_map = {},
                              u64 lock_limit_bytes = ~u64{0});

}  // namespace softsnp::kvm

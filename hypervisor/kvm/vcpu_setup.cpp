// The VMCB as KVM sets it up. linux-boot sheet 2.7; hardware sheet 8.3, 9.1.
#include <cerrno>

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "hypervisor/kvm/error.hpp"
#include "hypervisor/kvm/plain_registers.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace misc1 = svm::misc1;
namespace misc2 = svm::misc2;
namespace {
constexpr u16 dr7_bit = 1u << 7;
constexpr u32 cr_traps = (1u << 0 | 1u << 4 | 1u << 8) << misc2::cr_write_trap_shift;
constexpr u64 power_on_pat = 0x0007040600070406;
}  // namespace

VcpuImpl::VcpuImpl(VmContext& vm, u32 index, u32 apic_id, SystemPhysical vmcb_page)
    : vm_(vm),
      index_(index),
      core_(index % vm.port().core_count()),
      vmcb_page_(vmcb_page),
      lapic_(apic_id),
      emulator_(vm.memory, vmcb_, registers_, *this) {
  set_common_controls();
  if (vm_.hides_registers()) {
    set_protected_controls();
  } else {
    set_plain_controls();
  }
}

VcpuImpl::~VcpuImpl() {
  vm_.host.memory.release(vmcb_page_, PageSize::size_4k);
}

void VcpuImpl::set_common_controls() {
  vmcb_.intercept_misc1 = misc1::intr | misc1::nmi | misc1::smi | misc1::init | misc1::rdpmc |
                          misc1::cpuid | misc1::invd | misc1::hlt | misc1::invlpga | misc1::ioio |
                          misc1::msr | misc1::task_switch | misc1::shutdown;
  vmcb_.intercept_misc2 = misc2::vmrun | misc2::vmmcall | misc2::vmload | misc2::vmsave |
                          misc2::stgi | misc2::clgi | misc2::skinit | misc2::wbinvd |
                          misc2::monitor | misc2::mwait | misc2::rdpru;
  vmcb_.iopm_base = vm_.maps.iopm.value();
  vmcb_.msrpm_base = vm_.maps.msrpm.value();
  vmcb_.tsc_offset = vm_.tsc_offset;
  vmcb_.vintr = svm::vintr::v_intr_masking;
  vmcb_.np_and_sev = svm::np_and_sev::np_enable;
  vmcb_.ncr3 = vm_.memory.root().value();
}

// KVM's sev_es_init_vmcb: control registers by write traps, DR7 as its only debug intercept, LBR
// virtualization as hardware demands.
void VcpuImpl::set_protected_controls() {
  vmcb_.np_and_sev |= svm::np_and_sev::sev | svm::np_and_sev::sev_es;
  vmcb_.lbr_and_virt = svm::lbr_and_virt::lbr_virtualization;
  vmcb_.intercept_misc2 |= misc2::efer_write_trap | cr_traps;
  vmcb_.intercept_dr_read = dr7_bit;
  vmcb_.intercept_dr_write = dr7_bit;
  // The GHCB MSR's reset value is the SEV information (GHCB sheet 2).
  vmcb_.ghcb = sev_information();
}

// KVM gives SEV-ES guests version 1 of the protocol unless told otherwise, and SNP guests
// version 2.
u64 VcpuImpl::sev_information() const {
  const u32 c_bit = vm_.port().cpuid(0x8000001F, 0).ebx & 0x3F;
  const u16 highest = vm_.is_snp() ? ghcb::protocol_version_max : ghcb::protocol_version_min;
  return ghcb::sev_information_response(highest, ghcb::protocol_version_min,
                                        static_cast<u8>(c_bit));
}

void VcpuImpl::set_plain_controls() {
  vmcb_.asid = number(vm_.plain_asid);
  vmcb_.intercept_misc1 |= misc1::rsm;
  vmcb_.intercept_misc2 |= misc2::xsetbv;
  vmcb_.efer = x86::efer::svme;
  vmcb_.g_pat = power_on_pat;
}

Result<void, Error> VcpuImpl::set_state(const svm::Vmsa& state) {
  if (vm_.hides_registers()) {
    if (vm_.is_launched()) {
      return fail(EPERM, "the state of a launched guest is its own");
    }
    initial_state_ = state;
    return {};
  }
  load_state(state, vmcb_, registers_);
  vmcb_.efer |= x86::efer::svme;
  runnable_ = true;
  halted_ = false;
  return {};
}

svm::Vmsa VcpuImpl::state() const {
  if (!vm_.hides_registers()) {
    svm::Vmsa state{};
    save_state(vmcb_, registers_, state);
    state.efer &= ~x86::efer::svme;
    return state;
  }
  if (!vm_.is_launched()) {
    return initial_state_;
  }
  svm::Vmsa visible{};
  visible.cr0 = trapped_cr0_;
  visible.cr4 = trapped_cr4_;
  visible.efer = trapped_efer_;
  return visible;
}

// An SEV guest: its registers stay the host's, its memory has the key of asid.
void VcpuImpl::set_encrypted(Asid asid) {
  vmcb_.asid = number(asid);
  vmcb_.np_and_sev |= svm::np_and_sev::sev;
}

void VcpuImpl::set_launched(SystemPhysical vmsa, Asid asid) {
  vmcb_.vmsa_pointer = vmsa.value();
  vmcb_.asid = number(asid);
  trapped_cr0_ = initial_state_.cr0;
  trapped_cr4_ = initial_state_.cr4;
  trapped_efer_ = initial_state_.efer;
  runnable_ = true;
}

}  // namespace softsnp::kvm

// The VMCB as KVM sets it up. linux-boot sheet 2.7; hardware sheet 8.3, 9.1.
#include <cerrno>

#include "arch/snp/features.hpp"
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
      apic_id_(apic_id),
      core_(index % vm.port().core_count()),
      vmcb_page_(vmcb_page),
      mp_state_(index == 0 ? MpState::runnable : MpState::uninitialized),
      lapic_(apic_id, index == 0 ? Lapic::Role::bsp : Lapic::Role::ap),
      vmpl0_apic_(apic_id, index == 0 ? Lapic::Role::bsp : Lapic::Role::ap),
      emulator_(vm.memory, vmcb_, registers_, *this) {
  set_common_controls();
  if (vm_.hides_registers()) {
    set_protected_controls();
  } else {
    set_plain_controls();
  }
}

VcpuImpl::~VcpuImpl() {
  vm_.core_asids.forget(vmcb_page_);
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
  // The GHCB MSR's reset value is the SEV information (GHCB sheet 2), at each VMPL.
  vmcb_.ghcb = sev_information();
  for (VmplState& state : states_) {
    state.ghcb_msr = vmcb_.ghcb;
  }
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
  vmcb_.g_pat = power_on_pat;
  power_on_registers(vmcb_, registers_);
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
  has_state_ = true;
  if (mp_state_ == MpState::halted) {
    mp_state_ = MpState::runnable;
  }
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
  visible.cr0 = current().trapped.cr0;
  visible.cr4 = current().trapped.cr4;
  visible.efer = current().trapped.efer;
  return visible;
}

// An SEV guest: its registers stay the host's, its memory has the key of asid.
void VcpuImpl::set_encrypted(Asid asid) {
  vmcb_.asid = number(asid);
  vmcb_.np_and_sev |= svm::np_and_sev::sev;
}

void VcpuImpl::set_launched(SystemPhysical vmsa, Asid asid) {
  states_[0].vmsa = vmsa;
  states_[0].sev_features = vm_.is_snp() ? snp::feature::snp_active | vm_.vmsa_features : 0;
  vm_.vmpl_features[0] = states_[0].sev_features;
  vmcb_.vmsa_pointer = vmsa.value();
  vmcb_.asid = number(asid);
  current().trapped.cr0 = initial_state_.cr0;
  current().trapped.cr4 = initial_state_.cr4;
  current().trapped.efer = initial_state_.efer;
  has_state_ = true;
}

void VcpuImpl::enable_pause_filter() {
  vmcb_.intercept_misc1 |= misc1::pause;
  vmcb_.pause_filter_count = pause_filter_count;
  vmcb_.pause_filter_threshold = pause_filter_threshold;
}

}  // namespace softsnp::kvm

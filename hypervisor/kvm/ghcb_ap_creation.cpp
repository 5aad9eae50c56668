// SNP AP creation and the list of APIC ids. GHCB sheet 3.7, 3.9; svsm sheet 8.2; KVM 6.12:
// sev_snp_ap_creation().
#include <algorithm>

#include "arch/ghcb/ap_creation.hpp"
#include "arch/snp/features.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
using ghcb::ApCreation;
using ghcb::ApRequest;
namespace {

constexpr u64 injection_modes =
    snp::feature::restricted_injection | snp::feature::alternate_injection;
// KVM's answer to a guest without CPUID leaf 8000_0008 (cpuid_query_maxphyaddr()).
constexpr u32 least_address_bits = 36;

}  // namespace

// KVM: page_address_valid(); the C-bit is no reserved bit of an SEV guest.
bool VcpuImpl::is_page_address(u64 gpa) const {
  const u32 bits = cpuid_.lookup(0x80000008, 0, {}).eax & 0xFF;
  const u64 limit = bit(bits == 0 ? least_address_bits : std::min(bits, 52u));
  return is_aligned(gpa, page_size) && (gpa & ~bit(snp::c_bit)) < limit;
}

// One mode at most; alternate injection is never VMPL0's.
bool VcpuImpl::injection_mode_is_offered(u8 vmpl, u64 features) const {
  const bool is_offered = (vm_.vmsa_features & snp::feature::restricted_injection) != 0;
  const bool restricted = (features & snp::feature::restricted_injection) != 0;
  const bool alternate = (features & snp::feature::alternate_injection) != 0;
  return !(restricted && alternate) && (!restricted || is_offered) &&
         (!alternate || (vm_.alternate_injection && vmpl != 0));
}

// Everything that can be wrong, in the order of KVM 6.12, with the VMPL's rules (svsm sheet 8.2)
// where the target is known.
bool VcpuImpl::ap_creation_is_sound(const ApCreation& asked, const VcpuImpl* target) const {
  const bool makes_one = asked.request < ApRequest::destroy;
  if (target == nullptr || asked.vmpl >= vmpl_count) {
    return false;
  }
  // Only who runs at VMPL0 makes VMSAs of VMPL0, and not its own.
  if (makes_one && asked.vmpl == 0 && (target == this || vmpl_ != Vmpl::vmpl0)) {
    return false;
  }
  if (makes_one && !injection_mode_is_offered(asked.vmpl, ghcb_.request.rax)) {
    return false;
  }
  const std::optional<u64>& known = vm_.vmpl_features[asked.vmpl];
  if (makes_one && known && ((ghcb_.request.rax ^ *known) & injection_modes) != 0) {
    return false;
  }
  if (asked.reserved != 0 || asked.request > ApRequest::destroy) {
    return false;
  }
  // A VMSA on a 2 MiB boundary meets an erratum of the processor.
  const u64 page = ghcb_.request.exit_info2;
  return !makes_one || (is_page_address(page) && !is_aligned(page, large_page_size));
}

VcpuImpl::Exit VcpuImpl::event_ap_creation() {
  const ApCreation asked = ghcb::decode_ap_creation(ghcb_.request.exit_info1);
  VcpuImpl* target = vm_.vcpus.find(asked.apic_id);
  if (!ap_creation_is_sound(asked, target)) {
    respond_malformed(ghcb::Malformed::invalid_input);
    return std::nullopt;
  }
  PendingVmsa pending;
  std::optional<u64> features;
  if (asked.request != ApRequest::destroy) {
    pending.page = GuestPhysical(ghcb_.request.exit_info2);
    features = ghcb_.request.rax;
    if (!vm_.vmpl_features[asked.vmpl]) {
      vm_.vmpl_features[asked.vmpl] = features;
    }
  }
  target->request_vmsa(static_cast<Vmpl>(asked.vmpl), pending, features,
                       asked.request == ApRequest::create_on_init ? When::on_init : When::now);
  if (target != this) {
    turn_end_ = TurnEnd::sent_ipi;
  }
  return std::nullopt;
}

// Taken when the target comes to its turn, or with its INIT (KVM: snp_pending_vmsa_gpa,
// snp_ap_waiting_for_reset).
void VcpuImpl::request_vmsa(Vmpl vmpl, const PendingVmsa& pending, std::optional<u64> features,
                            When when) {
  VmplState& state = states_[number(vmpl)];
  state.pending = pending;
  state.pending_features = features.value_or(0);
  target_vmpl_ = vmpl;
  vmsa_update_wanted_ = vmsa_update_wanted_ || when == When::now;
}

// Room first: a guest asks with too little to learn how much it takes.
VcpuImpl::Exit VcpuImpl::event_apic_ids() {
  std::vector<u32> list{static_cast<u32>(vm_.vcpus.size())};
  for (const auto& vcpu : vm_.vcpus) {
    list.push_back(vcpu->apic_id());
  }
  const std::span<const u8> bytes(reinterpret_cast<const u8*>(list.data()),
                                  list.size() * sizeof list[0]);
  const u64 pages = align_up(bytes.size(), page_size) / page_size;
  if (ghcb_.request.rax < pages) {
    ghcb_.request.rax = pages;
    return std::nullopt;
  }
  const GuestPhysical buffer(ghcb_.request.exit_info1);
  if (!buffer.is_page_aligned() || !vm_.memory.write_shared(buffer, bytes)) {
    respond_malformed(ghcb::Malformed::invalid_input);
  }
  return std::nullopt;
}

}  // namespace softsnp::kvm

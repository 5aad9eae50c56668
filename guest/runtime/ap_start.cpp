#include "guest/runtime/ap_start.hpp"

#include "arch/snp/rmp.hpp"
#include "arch/x86/registers.hpp"

namespace softsnp::guest {
namespace {

namespace attribute = svm::attribute;
namespace cr0 = x86::cr0;

constexpr u16 system_type_ldt = 0x2, system_type_tss = 0x3;
constexpr u16 readable_code = 0xA, writable_data = 0x2;

void clear(svm::Vmsa& vmsa) {
  for (u8& byte : vmsa.raw) {
    byte = 0;
  }
}

// GHCB sheet 3.7, the table's common rows.
void fill_common(svm::Vmsa& vmsa, const ApIdentity& identity) {
  clear(vmsa);
  vmsa.vmpl = static_cast<u8>(number(identity.vmpl));
  vmsa.sev_features = identity.sev_features;
  vmsa.rflags = x86::rflags::fixed1;
  vmsa.dr6 = 0xFFFF0FF0;
  vmsa.dr7 = 0x400;
  vmsa.g_pat = 0x0007040600070406;
  vmsa.xcr0 = 1;
  vmsa.mxcsr = 0x1F80;
  vmsa.x87_ftw = 0x5555;
  vmsa.x87_fcw = 0x0040;
  vmsa.ldtr = {0, attribute::present | system_type_ldt, 0xFFFF, 0};
  vmsa.tr = {0, attribute::present | system_type_tss, 0xFFFF, 0};
}

void set_data_segments(svm::Vmsa& vmsa, const svm::SegmentRegister& segment) {
  vmsa.ds = segment;
  vmsa.es = segment;
  vmsa.fs = segment;
  vmsa.gs = segment;
  vmsa.ss = segment;
}

}  // namespace

void fill_vmsa(svm::Vmsa& vmsa, const ApIdentity& identity, const RealModeStart& start) {
  fill_common(vmsa, identity);
  constexpr u16 present = attribute::present | attribute::code_or_data;
  vmsa.cs = {static_cast<u16>(start.vector << 8), static_cast<u16>(present | readable_code), 0xFFFF,
             u64{start.vector} << 12};
  set_data_segments(vmsa, {0, static_cast<u16>(present | writable_data), 0xFFFF, 0});
  vmsa.gdtr.limit = 0xFFFF;
  vmsa.idtr.limit = 0xFFFF;
  vmsa.cr0 = cr0::cd | cr0::nw | cr0::et;
  vmsa.cr4 = identity.machine_check ? x86::cr4::mce : 0;
  vmsa.efer = x86::efer::svme;
}

void fill_vmsa(svm::Vmsa& vmsa, const ApIdentity& identity, const LongModeStart& start) {
  fill_common(vmsa, identity);
  constexpr u16 present = attribute::present | attribute::code_or_data | attribute::granularity;
  constexpr u16 accessed = 1;
  vmsa.cs = {start.code_selector,
             static_cast<u16>(present | attribute::long_mode | readable_code | accessed),
             0xFFFFFFFF, 0};
  set_data_segments(vmsa,
                    {start.data_selector,
                     static_cast<u16>(present | attribute::default_big | writable_data | accessed),
                     0xFFFFFFFF, 0});
  vmsa.gdtr = {0, 0, start.gdt_limit, start.gdt_base};
  vmsa.cr0 = cr0::pe | cr0::et | cr0::ne | cr0::wp | cr0::pg;
  vmsa.cr3 = start.cr3;
  vmsa.cr4 = start.cr4 | (identity.machine_check ? x86::cr4::mce : 0);
  vmsa.efer = start.efer_without_svme | x86::efer::svme;
  vmsa.rip = start.rip;
  vmsa.rsp = start.rsp;
  vmsa.rdi = start.argument;
}

// Target level 1 and no permissions: nobody below VMPL0 may touch a save area.
Checked<void> ApStarter::set_vmsa(GuestPhysical at, bool is_vmsa) {
  const u32 result =
      client_.processor().rmpadjust(map_.at(at), PageSize::size_4k, Vmpl::vmpl1, 0, is_vmsa);
  return result == static_cast<u32>(snp::RmpResult::success)
             ? Checked<void>()
             : Checked<void>(fail(Cause::ap_not_started));
}

Checked<void> ApStarter::ask(u32 apic_id, Vmpl vmpl, Request request, GuestPhysical at,
                             u64 sev_features) {
  const GhcbUse use(client_);
  if (!use.ok()) {
    return fail(Cause::vc_nested_too_deep);
  }
  client_.begin();
  client_.set(ghcb::field::rax, sev_features);
  const u64 info1 = u64{apic_id} << 32 | u64{number(vmpl)} << 16 | static_cast<u64>(request);
  const auto done = client_.call(number(ghcb::Event::ap_creation), info1, at.value());
  return done ? Checked<void>() : Checked<void>(fail(Cause::ap_not_started));
}

Checked<void> ApStarter::start(u32 apic_id, const svm::Vmsa& vmsa, GuestPhysical calling_area) {
  const GuestPhysical at = map_.of(&vmsa);
  if (!at.is_page_aligned() || at.is_large_page_aligned()) {
    return fail(Cause::ap_not_started);
  }
  const auto vmpl = static_cast<Vmpl>(vmsa.vmpl);
  const u64 features = vmsa.sev_features;
  const auto ready =
      svsm_ != nullptr ? svsm_->create_vcpu(at, calling_area, apic_id) : set_vmsa(at, true);
  if (!ready) {
    return ready;
  }
  const auto started = ask(apic_id, vmpl, Request::create, at, features);
  if (!started) {
    const auto undone = svsm_ != nullptr ? svsm_->delete_vcpu(at) : set_vmsa(at, false);
    return undone ? started : Checked<void>(fail(Cause::rollback_failed));
  }
  return {};
}

Checked<void> ApStarter::destroy(u32 apic_id, const svm::Vmsa& vmsa, Vmpl vmpl, u64 sev_features) {
  const GuestPhysical at = map_.of(&vmsa);
  const auto stopped = ask(apic_id, vmpl, Request::destroy, at, sev_features);
  if (!stopped) {
    return stopped;
  }
  return svsm_ != nullptr ? svsm_->delete_vcpu(at) : set_vmsa(at, false);
}

}  // namespace softsnp::guest

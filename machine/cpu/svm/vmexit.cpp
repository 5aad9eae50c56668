// #VMEXIT. Hardware sheet 7.3, 8.3, 9.2; APM2 15.6.
#include "machine/cpu/svm/svm.hpp"

namespace softsnp::cpu {

void Svm::write_exit_fields(svm::Vmcb& vmcb) {
  const Exit& exit = system_.exit();
  const Controls& c = system_.controls();
  const CoreState& s = core_.state;
  vmcb.exitcode = svm::number(exit.code);
  vmcb.exitinfo1 = exit.info1;
  vmcb.exitinfo2 = exit.info2;
  vmcb.exitintinfo = exit.intinfo;
  const bool enabled = (s.system_flags & x86::rflags::if_) != 0;
  const bool shadow = s.interrupt_shadow && !image_.alternate_injection();
  vmcb.interrupt_state = (shadow ? svm::interrupt_state::shadow : 0) |
                         (enabled ? svm::interrupt_state::guest_interrupt_mask : 0);
  if (!image_.alternate_injection()) {
    constexpr u64 changes = svm::vintr::v_tpr | svm::vintr::v_irq;
    vmcb.vintr = (vmcb.vintr & ~changes) | (c.vintr & changes);
    vmcb.eventinj = 0;
  }
  if (image_.sev_es) {
    vmcb.ghcb = c.ghcb;
    const bool vmgexit = exit.code == svm::ExitCode::vmgexit;
    if (vmgexit && image_.feature(snp::feature::vmgexit_parameter)) {
      vmcb.vmgexit_rax = s.gpr[static_cast<unsigned>(x86::Gpr::rax)];
      vmcb.vmgexit_cpl = s.cpl;
    }
    if (has_bit(vmcb.allowed_sev_features, 63)) {
      vmcb.guest_sev_features = image_.features;
    }
    return;
  }
  vmcb.nrip = exit.nrip;
  vmcb.instruction_byte_count = exit.byte_count;
  for (unsigned i = 0; i < sizeof exit.bytes; ++i) {
    vmcb.instruction_bytes.at[i] = exit.bytes[i];
  }
}

namespace {

void write_guest_fields(const Exit& exit, svm::Vmsa& vmsa) {
  vmsa.guest_exitcode = exit.reflected ? exit.original_code : svm::number(exit.code);
  vmsa.guest_exitinfo1 = exit.reflected ? exit.original_info1 : exit.info1;
  vmsa.guest_exitinfo2 = exit.reflected ? exit.original_info2 : exit.info2;
  vmsa.guest_exitintinfo = exit.intinfo;
  vmsa.guest_nrip = exit.nrip;
}

// Alternate injection: the VMSA carries the interrupt state (hardware sheet 6.4).
void write_vintr_ctrl(const Controls& c, const CoreState& s, const Exit& exit, svm::Vmsa& vmsa) {
  namespace ctrl = svm::vintr_ctrl;
  constexpr u64 queue = ctrl::v_tpr | ctrl::v_irq;
  vmsa.vintr_ctrl = (vmsa.vintr_ctrl & ~(queue | ctrl::int_shadow)) | (c.vintr & queue) |
                    (s.interrupt_shadow ? ctrl::int_shadow : 0) |
                    ((exit.intinfo & svm::event::valid) != 0 ? ctrl::busy : 0);
  vmsa.eventinj = 0;
}

}  // namespace

void Svm::vmexit() {
  const Exit& exit = system_.exit();
  const CoreState& s = core_.state;
  if (observer_ != nullptr) {
    observer_->vmexit(exit.code, exit.info1, exit.info2, s.rip);
  }
  svm::Vmcb& vmcb = image_.vmcb;
  write_exit_fields(vmcb);
  if (image_.sev_es) {
    save_to_vmsa(s, image_.feature(snp::feature::debug_virtualization), image_.vmsa);
    image_.vmsa.virtual_tom = mmu_.guest().virtual_tom;
    write_guest_fields(exit, image_.vmsa);
    if (image_.alternate_injection()) {
      write_vintr_ctrl(system_.controls(), s, exit, image_.vmsa);
    }
    mmu_.dram().write(image_.vmsa_page, memory::key_of(image_.asid), {image_.vmsa.raw, vmsa_bytes});
    if (!image_.snp) {
      write_checksum(mmu_, image_);
    }
  } else {
    save_to_vmcb(s, image_.nested_paging, vmcb);
  }
  tlb_owner_.cr3 = s.cr3;
  use_pages(false);
  const u64 bytes = image_.sev_es ? svm::vmcb_control_bytes : sizeof vmcb.raw;
  mmu_.dram().write(image_.vmcb_page, memory::KeyId::none, {vmcb.raw, bytes});
  system_.controls().guest = false;
  mmu_.guest().guest = false;
  restore_host(image_.sev_es);
}

// Nothing executes on the core until the next VMRUN, which picks TLB and code mode anew.
void Svm::restore_host(bool with_type_b) {
  svm::Vmsa area{};
  const SystemPhysical at = SystemPhysical(system_.msrs().vm_hsave_pa) + host_save_offset;
  mmu_.dram().read(at, memory::KeyId::none, {area.raw, host_save_bytes});
  CoreState& s = core_.state;
  load_type_a(area, s);
  if (with_type_b) {
    load_type_b(area, s);
    reset_type_c(s);
  } else {
    s.dr7 = 0x400;
  }
  s.pat = host_pat_;
  s.interrupt_shadow = false;
  s.nmi_masked = false;
  s.activity = Activity::running;
  core_.event_pending = false;
}

}  // namespace softsnp::cpu

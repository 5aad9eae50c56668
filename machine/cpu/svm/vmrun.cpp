// VMRUN: from the checks to the guest's first instruction. Hardware sheet 9; APM2 15.5.
#include "machine/cpu/svm/svm.hpp"
#include "machine/cpu/system/vm_load_save.hpp"

namespace softsnp::cpu {

using x86::Vector;

// Row 1 of hardware sheet 9.1, but for what only VMRUN needs.
Result<void, Vector> Svm::check_instruction(SystemPhysical at) const {
  const CoreState& s = core_.state;
  if ((s.efer & x86::efer::svme) == 0 || !s.protected_mode() || s.v8086()) {
    return Failure{Vector::ud};
  }
  if (s.cpl != 0 || !vm_page_legal(system_, at)) {
    return Failure{Vector::gp};
  }
  return {};
}

Result<void, Vector> Svm::vmload(SystemPhysical vmcb) {
  if (auto legal = check_instruction(vmcb); !legal) {
    return legal;
  }
  vm_load(system_, vmcb);
  return {};
}

Result<void, Vector> Svm::vmsave(SystemPhysical vmcb) {
  if (auto legal = check_instruction(vmcb); !legal) {
    return legal;
  }
  vm_save(system_, vmcb);
  return {};
}

Result<void, Vector> Svm::vmrun(SystemPhysical vmcb) {
  if (auto legal = check_instruction(vmcb); !legal) {
    return legal;
  }
  const SystemPhysical hsave(system_.msrs().vm_hsave_pa);
  if (hsave.value() == 0 || !mmu_.dram().contains(hsave, page_size)) {
    return Failure{Vector::gp};
  }
  if (observer_ != nullptr) {
    observer_->vmrun(vmcb);
  }
  Refusal refusal;
  if (!read_image(system_, vmcb, image_, refusal)) {
    refuse(refusal);
    return {};
  }
  CoreState guest = core_.state;
  if (image_.sev_es) {
    load_from_vmsa(image_, guest);
  } else {
    load_from_vmcb(image_, guest);
  }
  if (!consistent(guest, refusal)) {
    refuse(refusal);
    return {};
  }
  save_host();
  core_.state = guest;
  enter(image_);
  return {};
}

// The VMCB alone changes.
void Svm::refuse(const Refusal& refusal) {
  system_.set_refusal(refusal.reason);
  auto vmcb = load_le<svm::Vmcb>(mmu_.frame(image_.vmcb_page, memory::KeyId::none));
  vmcb.exitcode = svm::number(refusal.code);
  vmcb.exitinfo1 = 0;
  vmcb.exitinfo2 = 0;
  vmcb.exitintinfo = 0;
  mmu_.dram().write(image_.vmcb_page, memory::KeyId::none, {vmcb.raw, svm::vmcb_control_bytes});
  if (observer_ != nullptr) {
    observer_->vmrun_refused(refusal.reason);
  }
}

void Svm::save_host() {
  svm::Vmsa area{};
  const SystemPhysical at = SystemPhysical(system_.msrs().vm_hsave_pa) + host_save_offset;
  mmu_.dram().read(at, memory::KeyId::none, {area.raw, host_save_bytes});
  save_type_a(core_.state, area);
  mmu_.dram().write(at, memory::KeyId::none, {area.raw, host_save_bytes});
  host_pat_ = core_.state.pat;
}

void Svm::enter(const GuestImage& image) {
  CoreState& s = core_.state;
  const bool paging = (s.cr0 & x86::cr0::pg) != 0;
  s.efer =
      paging && (s.efer & x86::efer::lme) != 0 ? s.efer | x86::efer::lma : s.efer & ~x86::efer::lma;
  s.cpl = !s.protected_mode() ? 0 : s.v8086() ? 3 : s.cpl;
  s.activity = Activity::running;
  s.interrupt_shadow = image.alternate_injection()
                           ? (image.vintr & svm::vintr_ctrl::int_shadow) != 0
                           : (image.vmcb.interrupt_state & svm::interrupt_state::shadow) != 0;
  s.nmi_masked = false;
  set_controls(image);
  set_context(image);
  use_pages(true);
  flush_as_asked(image);
  system_.mode_changed();
  inject_at_entry(image.eventinj);
}

void Svm::set_controls(const GuestImage& image) {
  Controls& c = system_.controls();
  c.vmcb = image.vmcb;
  c.guest = true;
  c.sev_es = image.sev_es;
  c.snp = image.snp;
  c.sev_features = image.features;
  c.ghcb = image.vmcb.ghcb;
  c.vintr = image.vintr;
  c.tsc_scale = image.vmsa.guest_tsc_scale;
  c.tsc_offset = image.vmsa.guest_tsc_offset;
  c.pauses_left = image.vmcb.pause_filter_count;
  c.last_pause = system_.platform().tsc();
  c.gif = true;
  core_.pause_slow = c.misc1(svm::misc1::pause);
}

void Svm::set_context(const GuestImage& image) {
  GuestContext& g = mmu_.guest();
  g.guest = true;
  g.nested_paging = image.nested_paging;
  g.sev = image.sev;
  g.sev_es = image.sev_es;
  g.snp = image.snp;
  g.vtom = image.feature(snp::feature::vtom);
  constexpr u32 flags = svm::misc1::pushf | svm::misc1::popf;
  g.flags_intercepted = (image.vmcb.intercept_misc1 & flags) != 0;
  constexpr u64 read_only = svm::np_and_sev::read_only_guest_page_tables;
  g.read_only_tables = (image.vmcb.np_and_sev & read_only) != 0;
  g.asid = image.asid;
  g.vmpl = image.snp ? static_cast<Vmpl>(image.vmsa.vmpl & 3) : Vmpl::vmpl0;
  g.virtual_tom = g.vtom ? image.vmsa.virtual_tom & mask_bits(51, 21) : 0;
  g.nested_cr3 = SystemPhysical(image.vmcb.ncr3 & mask_bits(50, 12));
}

void Svm::use_pages(bool begin) {
  if (begin == marked_) {
    return;
  }
  marked_ = begin;
  for (SystemPhysical page : {image_.vmcb_page, image_.vmsa_page}) {
    if (page == image_.vmsa_page && !image_.sev_es) {
      continue;
    }
    if (begin) {
      mmu_.rmp().begin_use(page);
    } else {
      mmu_.rmp().end_use(page);
    }
  }
}

// The TLB carries no ASID: another guest, another vCPU of the same guest, a CR3 changed by the
// host, or TLB_CONTROL empties it. Changes of paging modes are the MMU's to notice. PCPU_ID:
// hardware sheet 6.4.
void Svm::flush_as_asked(const GuestImage& image) {
  const SystemPhysical state_page = image.sev_es ? image.vmsa_page : image.vmcb_page;
  const TlbOwner owner{image.vmcb.asid, state_page.value(), image.vmcb.ncr3, core_.state.cr3};
  const u64 here = u64{system_.platform().core_id()} + 1;
  const bool moved = image.snp && image.vmsa.pcpu_id != here;
  if (image.vmcb.tlb_control != 0 || owner != tlb_owner_ || moved) {
    mmu_.flush_all(core_);
  }
  if (image.snp) {
    image_.vmsa.pcpu_id = here;
  }
  tlb_owner_ = owner;
}

// APM2 15.20. Not subject to intercepts; faults on the way are.
Run Svm::inject_at_entry(u64 eventinj) {
  if ((eventinj & svm::event::valid) == 0) {
    return Run::in_guest;
  }
  CoreState& s = core_.state;
  Event event;
  event.vector = static_cast<u8>(eventinj & svm::event::vector);
  event.has_error = (eventinj & svm::event::error_valid) != 0;
  event.error = static_cast<u32>(eventinj >> 32);
  event.return_rip = s.rip;
  switch (static_cast<svm::event::Type>(get_bits(eventinj, 10, 8))) {
    case svm::event::Type::interrupt:
      event.kind = EventKind::interrupt;
      break;
    case svm::event::Type::nmi:
      event.kind = EventKind::nmi;
      event.vector = static_cast<u8>(x86::Vector::nmi);
      s.nmi_masked = true;
      break;
    case svm::event::Type::software:
      event.kind = EventKind::software_interrupt;
      event.return_rip = image_.vmcb.nrip;
      break;
    case svm::event::Type::exception:
      event.kind = event.vector == 1 ? EventKind::trap : EventKind::exception;
      if (event.vector == 3 || event.vector == 4) {
        event.kind = EventKind::software_exception;
        event.return_rip = image_.vmcb.nrip;
      }
      break;
  }
  return after(system_.inject(event));
}

}  // namespace softsnp::cpu

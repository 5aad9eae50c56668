// Dispatch of the executor's system instructions.
#include "machine/cpu/system/handlers.hpp"
#include "machine/cpu/system/intercepts.hpp"

namespace softsnp::cpu {

System::System(Core& core, Mmu& mmu, Platform& platform, Observer* observer)
    : core_(core), mmu_(mmu), platform_(platform), observer_(observer) {
  set_host_state();
}

void System::flush_tlb(TlbFlush kind, u64 linear) {
  switch (kind) {
    case TlbFlush::page:
      mmu_.flush_page(core_, linear);
      break;
    case TlbFlush::non_global:
      mmu_.flush_non_global(core_);
      break;
    case TlbFlush::all:
      mmu_.flush_all(core_);
      break;
  }
  if (observer_ != nullptr) {
    observer_->tlb_flushed(kind, linear, state().rip);
  }
}

// Linux's choice of values; only what VMRUN checks and saves matters.
void System::set_host_state() {
  CoreState& s = state();
  s = {};
  s.cr0 = x86::cr0::pg | x86::cr0::wp | x86::cr0::ne | x86::cr0::et | x86::cr0::mp | x86::cr0::pe;
  s.cr4 =
      x86::cr4::pae | x86::cr4::pge | x86::cr4::osfxsr | x86::cr4::osxmmexcpt | x86::cr4::osxsave;
  s.efer = x86::efer::sce | x86::efer::lme | x86::efer::lma | x86::efer::nxe;
  s.xcr0 = 3;
  s.seg[1] = {0x10, 0xA9B, 0xFFFFFFFF, 0};
  s.seg[2] = {0x18, 0xC93, 0xFFFFFFFF, 0};
  s.tr = {0x40, 0x8B, 0x67, 0};
}

namespace {

struct HandlerRow {
  SystemOp id;
  SystemHandler handler;
};

// Instructions without a row are not in the processor's CPUID: #UD.
constexpr HandlerRow handler_rows[] = {
    {SystemOp::mov_from_cr, handlers::mov_from_cr},
    {SystemOp::mov_to_cr, handlers::mov_to_cr},
    {SystemOp::mov_from_dr, handlers::mov_from_dr},
    {SystemOp::mov_to_dr, handlers::mov_to_dr},
    {SystemOp::clts, handlers::clts},
    {SystemOp::lmsw, handlers::lmsw},
    {SystemOp::smsw, handlers::smsw},
    {SystemOp::lgdt, handlers::load_table},
    {SystemOp::lidt, handlers::load_table},
    {SystemOp::sgdt, handlers::store_table},
    {SystemOp::sidt, handlers::store_table},
    {SystemOp::lldt, handlers::lldt},
    {SystemOp::ltr, handlers::ltr},
    {SystemOp::sldt, handlers::store_selector},
    {SystemOp::str, handlers::store_selector},
    {SystemOp::lar, handlers::lar},
    {SystemOp::lsl, handlers::lsl},
    {SystemOp::verr, handlers::verify},
    {SystemOp::verw, handlers::verify},
    {SystemOp::arpl, handlers::arpl},
    {SystemOp::invlpg, handlers::invlpg},
    {SystemOp::invlpga, handlers::invlpga},
    {SystemOp::invpcid, handlers::invpcid},
    {SystemOp::invd, handlers::write_back},
    {SystemOp::wbinvd, handlers::write_back},
    {SystemOp::wbnoinvd, handlers::write_back},
    {SystemOp::hlt, handlers::hlt},
    {SystemOp::pause, handlers::pause},
    {SystemOp::monitor, handlers::monitor},
    {SystemOp::mwait, handlers::mwait},
    {SystemOp::rdmsr, handlers::rdmsr},
    {SystemOp::wrmsr, handlers::wrmsr},
    {SystemOp::rdtsc, handlers::rdtsc},
    {SystemOp::rdtscp, handlers::rdtscp},
    {SystemOp::rdpmc, handlers::rdpmc},
    {SystemOp::rdpid, handlers::rdpid},
    {SystemOp::cpuid, handlers::cpuid},
    {SystemOp::xgetbv, handlers::xgetbv},
    {SystemOp::xsetbv, handlers::xsetbv},
    {SystemOp::rdrand, handlers::random},
    {SystemOp::rdseed, handlers::random},
    {SystemOp::swapgs, handlers::swapgs},
    {SystemOp::rdfsbase, handlers::fs_gs_base},
    {SystemOp::rdgsbase, handlers::fs_gs_base},
    {SystemOp::wrfsbase, handlers::fs_gs_base},
    {SystemOp::wrgsbase, handlers::fs_gs_base},
    {SystemOp::syscall, handlers::syscall},
    {SystemOp::sysret, handlers::sysret},
    {SystemOp::sysenter, handlers::sysenter},
    {SystemOp::sysexit, handlers::sysexit},
    {SystemOp::iret, handlers::iret},
    {SystemOp::int_n, handlers::software_interrupt},
    {SystemOp::int3, handlers::software_interrupt},
    {SystemOp::into, handlers::software_interrupt},
    {SystemOp::int1, handlers::int1},
    {SystemOp::far_jump, handlers::far_jump},
    {SystemOp::far_call, handlers::far_call},
    {SystemOp::far_return, handlers::far_return},
    {SystemOp::mov_to_seg, handlers::mov_to_seg},
    {SystemOp::pop_seg, handlers::pop_seg},
    {SystemOp::load_far_pointer, handlers::load_far_pointer},
    {SystemOp::in, handlers::in_out},
    {SystemOp::out, handlers::in_out},
    {SystemOp::ins, handlers::ins_outs},
    {SystemOp::outs, handlers::ins_outs},
    {SystemOp::pushf, handlers::pushf},
    {SystemOp::popf, handlers::popf},
    {SystemOp::cli, handlers::cli},
    {SystemOp::sti, handlers::sti},
    {SystemOp::clac, handlers::clac_stac},
    {SystemOp::stac, handlers::clac_stac},
    {SystemOp::vmrun, handlers::svm_instruction},
    {SystemOp::vmload, handlers::svm_instruction},
    {SystemOp::vmsave, handlers::svm_instruction},
    {SystemOp::stgi, handlers::svm_instruction},
    {SystemOp::clgi, handlers::svm_instruction},
    {SystemOp::vmmcall, handlers::vmmcall},
    {SystemOp::vmgexit, handlers::vmgexit},
    {SystemOp::pvalidate, handlers::pvalidate},
    {SystemOp::rmpadjust, handlers::rmpadjust},
    {SystemOp::rmpquery, handlers::rmpquery},
    {SystemOp::rmpupdate, handlers::host_rmp},
    {SystemOp::psmash, handlers::host_rmp},
    {SystemOp::rmpread, handlers::host_rmp},
};

constexpr unsigned op_count = static_cast<unsigned>(SystemOp::serialize) + 1;

struct HandlerTable {
  SystemHandler at[op_count] = {};
};

constexpr HandlerTable make_table() {
  HandlerTable table;
  for (const HandlerRow& row : handler_rows) {
    table.at[static_cast<unsigned>(row.id)] = row.handler;
  }
  return table;
}

constexpr HandlerTable table = make_table();

}  // namespace

SystemHandler handler_of(SystemOp id) {
  const auto n = static_cast<unsigned>(id);
  return n < op_count ? table.at[n] : nullptr;
}

Outcome System::execute(const Op& op, const OpInfo& info) {
  CoreState& s = state();
  const bool trap_flag = (s.system_flags & x86::rflags::tf) != 0;
  next_rip_ = s.rip + info.length;
  if (!s.code64()) {
    next_rip_ = static_cast<u32>(next_rip_);
  }
  const u64 rip = s.rip;
  // The shadow covers this instruction and ends behind it, unless it opens a new one.
  const bool shadow = s.interrupt_shadow;
  s.interrupt_shadow = false;
  const Instruction in{op, info, static_cast<SystemOp>(info.system_id)};
  const SystemHandler handler = handler_of(in.id);
  const Step step = handler == nullptr ? raise_ud() : handler(*this, in);
  if (step == Step::again || (step == Step::vmexit && s.rip == rip)) {
    s.interrupt_shadow = shadow;
  }
  return finish(step, info, trap_flag);
}

Outcome System::finish(Step step, const OpInfo& info, bool trap_flag) {
  CoreState& s = state();
  switch (step) {
    case Step::vmexit:
      return Outcome::vmexit;
    case Step::fault:
      return deliver(core_.fault, &info);
    case Step::taken:
    case Step::again:
      return Outcome::done;
    case Step::next:
      s.rip = next_rip_;
      break;
    case Step::jumped:
      break;
  }
  const auto id = static_cast<SystemOp>(info.system_id);
  if (id != SystemOp::iret) {
    s.system_flags &= ~x86::rflags::rf;
  }
  // SYSCALL with TF in SFMASK ends stepping at once.
  const bool masked = id == SystemOp::syscall && (s.system_flags & x86::rflags::tf) == 0;
  if (!trap_flag || masked) {
    return Outcome::done;
  }
  return single_step_trap();
}

Step System::raise(x86::Vector vector) {
  core_.fault = {};
  core_.fault.kind = FaultKind::exception;
  core_.fault.vector = static_cast<u8>(vector);
  return Step::fault;
}

Step System::raise(x86::Vector vector, u32 error) {
  raise(vector);
  core_.fault.has_error = true;
  core_.fault.error_code = error;
  return Step::fault;
}

bool System::fail(x86::Vector vector, u32 error) {
  raise(vector, error);
  return false;
}

Step System::leave(svm::ExitCode code, u64 info1, u64 info2) {
  set_exit(code, info1, info2, 0);
  exit_.nrip = next_rip_;
  return Step::vmexit;
}

Step System::raise_vc(svm::ExitCode code, u64 info1, u64 info2) {
  Event event;
  if (!event_vc(code, info1, info2, 0, event)) {
    return Step::vmexit;
  }
  return raise(x86::Vector::vc, event.error);
}

bool System::intercepts(svm::ExitCode code) const {
  if (!controls_.guest) {
    return false;
  }
  if (controls_.sev_es && forced_in_sev_es(code)) {
    return true;
  }
  const bool guarded = controls_.restricted_injection() || controls_.alternate_injection();
  return (guarded && forced_by_injection_mode(code)) || intercept_bit(controls_.vmcb, code);
}

Step System::intercept(svm::ExitCode code, u64 info1, u64 info2) {
  if (controls_.sev_es) {
    const ExitClass kind = exit_class(code, info1);
    if (kind == ExitClass::non_automatic) {
      return raise_vc(code, info1, info2);
    }
    if (kind == ExitClass::automatic_completed) {
      state().rip = next_rip_;
    }
  }
  return leave(code, info1, info2);
}

// Hardware sheet 1.2 (TSC ratio is the host's affair: the clock runs at P0), 9.3.
u64 System::guest_tsc() {
  const u64 tsc = platform_.tsc() + msrs_.tsc_offset;
  if (!controls_.guest) {
    return tsc;
  }
  if (!controls_.feature(snp::feature::secure_tsc)) {
    return tsc + controls_.vmcb.tsc_offset;
  }
  constexpr unsigned __int128 reference_hz = 100'000'000;
  const auto counter =
      static_cast<unsigned __int128>(platform_.tsc()) * reference_hz / platform_.tsc_frequency_hz();
  return static_cast<u64>((counter * controls_.tsc_scale) >> 32) + controls_.tsc_offset;
}

void System::mode_changed() {
  mmu_.mode_changed(core_);
}

}  // namespace softsnp::cpu

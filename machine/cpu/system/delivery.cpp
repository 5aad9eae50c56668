#include "machine/cpu/system/delivery.hpp"

#include "machine/cpu/exec/memory.hpp"
#include "machine/cpu/system/intercepts.hpp"

namespace softsnp::cpu {

using x86::Vector;

namespace {

// APM2 8.2.9 (#DF), table 8-4. #VC is contributory (hardware sheet 7.2).
enum class FaultClass : u8 { benign, contributory, page_fault, double_fault };

FaultClass class_of(const Event& event) {
  if (event.kind != EventKind::exception) {
    return FaultClass::benign;
  }
  switch (static_cast<Vector>(event.vector)) {
    case Vector::de:
    case Vector::ts:
    case Vector::np:
    case Vector::ss:
    case Vector::gp:
    case Vector::cp:
    case Vector::vc:
      return FaultClass::contributory;
    case Vector::pf:
      return FaultClass::page_fault;
    case Vector::df:
      return FaultClass::double_fault;
    default:
      return FaultClass::benign;
  }
}

enum class Combined : u8 { second, double_fault, shutdown };

Combined combine(const Event& first, const Event& second) {
  const FaultClass a = class_of(first);
  const FaultClass b = class_of(second);
  if (b == FaultClass::benign || a == FaultClass::benign) {
    return Combined::second;
  }
  if (a == FaultClass::double_fault) {
    return Combined::shutdown;
  }
  if (a == FaultClass::contributory && b == FaultClass::page_fault) {
    return Combined::second;
  }
  return Combined::double_fault;
}

}  // namespace

u64 saved_rflags(const CoreState& state, const Event& event) {
  const u64 value = state.rflags();
  return event.kind == EventKind::exception ? value | x86::rflags::rf : value;
}

bool write_stack(System& system, u64 linear, const void* from, u32 size, u8 cpl) {
  return cpl == 3 ? store_bytes(system.core(), linear, from, size)
                  : system.mmu().write_system(system.core(), linear, from, size);
}

void System::set_exit(svm::ExitCode code, u64 info1, u64 info2, u64 intinfo) {
  exit_ = {};
  exit_.code = code;
  exit_.info1 = info1;
  exit_.info2 = info2;
  exit_.intinfo = intinfo;
}

bool System::event_vc(svm::ExitCode code, u64 info1, u64 info2, u64 intinfo, Event& out) {
  if (controls_.feature(snp::feature::reflect_vc)) {
    set_exit(svm::ExitCode::exception_vc, 0, 0, intinfo);
    exit_.reflected = true;
    exit_.original_code = svm::number(code);
    exit_.original_info1 = info1;
    exit_.original_info2 = info2;
    return false;
  }
  if (observer_ != nullptr) {
    observer_->vc_raised(svm::number(code), state().rip);
  }
  out = {};
  out.vector = static_cast<u8>(Vector::vc);
  out.has_error = true;
  out.error = static_cast<u32>(svm::number(code));
  out.return_rip = state().rip;
  return true;
}

// The exception intercepts, APM2 15.12: looked at before the event is combined with another.
bool System::event_from_exception(const Event& raw, u64 info1, u64 info2, u64 intinfo, Event& out) {
  const auto code =
      static_cast<svm::ExitCode>(svm::number(svm::ExitCode::exception_base) + raw.vector);
  if (raw.vector >= 32 || !intercepts(code)) {
    out = raw;
    return true;
  }
  if (controls_.sev_es && exit_class(code, 0) == ExitClass::non_automatic) {
    return event_vc(code, info1, info2, intinfo, out);
  }
  set_exit(code, info1, info2, intinfo);
  return false;
}

bool System::classify(const Fault& fault, u64 intinfo, Event& out) {
  if (fault.kind == FaultKind::nested) {
    if (observer_ != nullptr) {
      observer_->npf(fault.error_code, GuestPhysical(fault.address), state().rip);
    }
    if (controls_.sev_es &&
        exit_class(svm::ExitCode::npf, fault.error_code) == ExitClass::non_automatic) {
      return event_vc(svm::ExitCode::npf, fault.error_code, fault.address, intinfo, out);
    }
    set_exit(svm::ExitCode::npf, fault.error_code, fault.address, intinfo);
    return false;
  }
  if (fault.kind == FaultKind::not_validated) {
    const bool raised = event_vc(svm::ExitCode::page_not_validated, 0, fault.address, intinfo, out);
    out.set_cr2 = true;
    out.cr2 = fault.address;
    return raised;
  }
  Event raw;
  raw.vector = fault.vector;
  raw.has_error = fault.has_error;
  raw.error = static_cast<u32>(fault.error_code);
  raw.return_rip = state().rip;
  raw.set_cr2 = fault.vector == static_cast<u8>(Vector::pf);
  raw.cr2 = fault.address;
  if (raw.vector == static_cast<u8>(Vector::vc)) {
    out = raw;  // raise_vc() has done all else
    return true;
  }
  return event_from_exception(raw, fault.has_error ? fault.error_code : 0,
                              raw.set_cr2 ? fault.address : 0, intinfo, out);
}

bool System::transfer(const Event& event) {
  if (event.set_cr2) {
    state().cr2 = event.cr2;
  }
  if (!state().protected_mode()) {
    return deliver_real(*this, event);
  }
  return state().long_mode() ? deliver_long(*this, event) : deliver_protected(*this, event);
}

void System::note(const Event& event) {
  if (chain_.count < FaultChain::limit) {
    chain_.at[chain_.count++] = {event.vector, event.has_error, event.kind == EventKind::interrupt,
                                 event.error,  state().rip,     event.cr2};
  }
}

// Bounded: each further round needs a second fault, and contributory ones end in #DF, then
// shutdown.
Outcome System::take(Event event) {
  chain_.count = 0;
  for (unsigned round = 0; round < FaultChain::limit; ++round) {
    note(event);
    if (transfer(event)) {
      state().interrupt_shadow = false;
      mode_changed();
      if (observer_ != nullptr) {
        observer_->delivered(chain_.at[chain_.count - 1]);
      }
      return Outcome::done;
    }
    const u64 intinfo = event.to_intinfo();
    Event second;
    if (!classify(core_.fault, intinfo, second)) {
      return Outcome::vmexit;
    }
    switch (combine(event, second)) {
      case Combined::second:
        event = second;
        break;
      case Combined::double_fault: {
        Event df;
        df.vector = static_cast<u8>(Vector::df);
        df.has_error = true;
        df.return_rip = state().rip;
        if (!event_from_exception(df, 0, 0, intinfo, event)) {
          return Outcome::vmexit;
        }
        break;
      }
      case Combined::shutdown:
        note(second);
        return shut_down();
    }
  }
  return shut_down();
}

// APM2 8.2.9, 15.14.3. The host keeps the core either way: with SHUTDOWN not intercepted the real
// processor would stop for good, and there is nobody here to press its reset button.
Outcome System::shut_down() {
  if (observer_ != nullptr) {
    observer_->triple_fault(chain_);
  }
  set_exit(svm::ExitCode::shutdown, 0, 0, 0);
  return Outcome::vmexit;
}

Outcome System::inject(const Event& event) {
  return take(event);
}

Outcome System::deliver(const Fault& fault, const OpInfo* info) {
  Event event;
  if (classify(fault, 0, event)) {
    return take(event);
  }
  // Decode assist, APM2 15.8.4; never for SEV-ES (hardware sheet 7.2).
  const bool page_fault =
      fault.kind == FaultKind::nested || fault.vector == static_cast<u8>(Vector::pf);
  if (!controls_.sev_es && info != nullptr && page_fault) {
    exit_.byte_count = info->length;
    for (unsigned i = 0; i < sizeof exit_.bytes; ++i) {
      exit_.bytes[i] = i < info->length ? info->bytes[i] : 0;
    }
  }
  return Outcome::vmexit;
}

}  // namespace softsnp::cpu

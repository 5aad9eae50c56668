// An interrupt or exception on its way through the IDT. APM2 8.2, 15.20.
#pragma once

#include "arch/svm/vmcb.hpp"
#include "machine/cpu/exec/core.hpp"

namespace softsnp::cpu {

enum class EventKind : u8 {
  interrupt,           // external; also the virtual interrupt
  nmi,                 //
  exception,           // fault class: RF is set in the saved image
  trap,                // #DB after an instruction, INT1
  software_exception,  // INT3, INTO: gate privilege is checked
  software_interrupt,  // INT n: gate privilege is checked
};

struct Event {
  EventKind kind = EventKind::exception;
  u8 vector = 0;
  bool has_error = false;
  bool set_cr2 = false;
  u32 error = 0;
  u64 cr2 = 0;
  u64 return_rip = 0;

  bool software() const {
    return kind == EventKind::software_exception || kind == EventKind::software_interrupt;
  }
  // The event in EVENTINJ / EXITINTINFO form (hardware sheet 8.2).
  u64 to_intinfo() const {
    using Type = svm::event::Type;
    const Type type = kind == EventKind::interrupt            ? Type::interrupt
                      : kind == EventKind::nmi                ? Type::nmi
                      : kind == EventKind::software_interrupt ? Type::software
                                                              : Type::exception;
    return svm::event::make(vector, type, has_error, has_error ? error : 0);
  }
};

}  // namespace softsnp::cpu

// Why the runtime gives up: each cause is one termination reason (arch/ghcb/termination.hpp), so
// that whoever reads the hypervisor's log knows what went wrong. Linux's codes where Linux has one.
#pragma once

#include "arch/ghcb/termination.hpp"
#include "base/result.hpp"

namespace softsnp::guest {

enum class Cause : u8 {
  // Negotiation and registration (GHCB sheet 4.1, 4.2).
  version_not_supported,
  features_missing,
  registration_refused,
  // Answers of the hypervisor that cannot be right.
  unexpected_msr_answer,
  answer_incomplete,
  host_error,
  inadmissible_exception,
  inconsistent_cpuid,
  // Memory.
  page_state_change_failed,
  page_state_lie,  // counters out of order, or no progress
  pvalidate_failed,
  double_validation,  // the page already was what PVALIDATE was asked for
  page_not_validated,
  no_page_table,
  rollback_failed,
  // Pages that the loader or the firmware handed over.
  cpuid_page_bad,
  cpuid_of_host_failed,
  secrets_page_bad,
  // #VC.
  vc_mismatch,
  vc_unsupported,
  vc_nested_too_deep,
  mmio_of_private_page,
  // Services.
  guest_message_failed,
  ap_not_started,
  svsm_missing,
  svsm_absent,
  svsm_claims_vmpl0,
  calling_area_misaligned,
  calling_area_remap_failed,
  svsm_call_failed,
};

constexpr ghcb::TerminationReason reason(Cause cause) {
  namespace t = ghcb::termination;
  switch (cause) {
    case Cause::version_not_supported:
      return t::version_range;
    case Cause::features_missing:
      return t::snp_features;
    case Cause::registration_refused:
      return t::registration;
    case Cause::unexpected_msr_answer:
      return t::msr_answer;
    case Cause::answer_incomplete:
      return t::answer_incomplete;
    case Cause::host_error:
      return t::host_error;
    case Cause::inadmissible_exception:
      return t::exception_request;
    case Cause::inconsistent_cpuid:
      return t::cpuid_answer;
    case Cause::page_state_change_failed:
      return t::page_state_change;
    case Cause::page_state_lie:
      return t::page_state_lie;
    case Cause::pvalidate_failed:
      return t::pvalidate;
    case Cause::double_validation:
      return t::double_validation;
    case Cause::page_not_validated:
      return t::page_not_validated;
    case Cause::no_page_table:
      return t::page_tables;
    case Cause::rollback_failed:
      return t::rollback;
    case Cause::cpuid_page_bad:
      return t::cpuid_page;
    case Cause::cpuid_of_host_failed:
      return t::cpuid_of_host;
    case Cause::secrets_page_bad:
      return t::secrets_page;
    case Cause::vc_mismatch:
      return t::vc_mismatch;
    case Cause::vc_unsupported:
      return t::vc_unsupported;
    case Cause::vc_nested_too_deep:
      return t::vc_nesting;
    case Cause::mmio_of_private_page:
      return t::mmio_of_private_page;
    case Cause::guest_message_failed:
      return t::guest_message;
    case Cause::ap_not_started:
      return t::ap_start;
    case Cause::svsm_missing:
      return t::no_svsm;
    case Cause::svsm_absent:
      return t::svsm_absent;
    case Cause::svsm_claims_vmpl0:
      return t::svsm_vmpl_zero;
    case Cause::calling_area_misaligned:
      return t::calling_area_misaligned;
    case Cause::calling_area_remap_failed:
      return t::calling_area_remap;
    case Cause::svsm_call_failed:
      return t::svsm_call;
  }
  return t::general;
}
constexpr const char* name(Cause cause) {
  return ghcb::name(reason(cause));
}

// An exception for the interrupted code: what the hypervisor asked for, or what the access that is
// emulated would have raised.
struct Exception {
  u8 vector = 0;
  bool has_error = false;
  u32 error = 0;
  u64 address = 0;  // CR2 of a #PF
  friend constexpr bool operator==(const Exception&, const Exception&) = default;
};

// What an exit can end in: an exception to forward, or a cause to end for.
struct Trouble {
  enum class Kind : u8 { exception, fatal } kind;
  Exception exception{};
  Cause cause{};

  static constexpr Trouble of(Exception e) { return {Kind::exception, e, {}}; }
  static constexpr Trouble of(Cause c) { return {Kind::fatal, {}, c}; }
};

template <class T>
using Checked = Result<T, Cause>;
template <class T>
using Handled = Result<T, Trouble>;

inline Failure<Cause> fail(Cause cause) {
  return Failure<Cause>{cause};
}
inline Failure<Trouble> trouble(Cause cause) {
  return Failure<Trouble>{Trouble::of(cause)};
}
inline Failure<Trouble> trouble(Exception exception) {
  return Failure<Trouble>{Trouble::of(exception)};
}

}  // namespace softsnp::guest

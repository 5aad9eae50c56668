#include "observe/explainer.hpp"

#include <fmt/format.h>

#include "arch/svm/exit_code.hpp"
#include "machine/memory/rmp/describe.hpp"

namespace softsnp::observe {
// What repeats itself (a fault that the guest runs into again and again) is said once.
void Explainer::keep(std::string paragraph) {
  if (!paragraphs_.empty() && paragraph == newest_) {
    paragraphs_.back() = fmt::format("{} This happened {} times in a row.", newest_, ++times_);
    return;
  }
  newest_ = paragraph;
  times_ = 1;
  paragraphs_.push_back(std::move(paragraph));
  if (paragraphs_.size() > kept) {
    paragraphs_.pop_front();
  }
}

std::string Explainer::place(u64 rip) const {
  const std::string symbol = symbols_.name_of(rip);
  return symbol.empty() ? fmt::format("RIP {:#x}", rip)
                        : fmt::format("RIP {:#x} ({})", rip, symbol);
}

std::string Explainer::entry_story(SystemPhysical page, const snp::RmpEntry* before) const {
  if (evidence_.rmp == nullptr || !evidence_.rmp->covered(page)) {
    return "The page has no RMP entry.";
  }
  const snp::RmpEntry now = evidence_.rmp->effective_entry(page);
  std::string out =
      fmt::format("The RMP entry of sPA {:#x} is: {}.", page.value(), memory::describe(now));
  if (before != nullptr && !(*before == now)) {
    out += fmt::format(" At the access it was: {}.", memory::describe(*before));
  }
  if (const auto change = evidence_.rmp->history().last(page)) {
    out += fmt::format(" Last change: {}.", memory::describe(*change));
  } else {
    out += " Nobody has changed it since power-on, or too long ago to be remembered.";
  }
  return out;
}

std::string Explainer::access_story() const {
  if (!evidence_.last_denial) {
    return {};
  }
  const cpu::Denial& d = evidence_.last_denial();
  if (d.rule == memory::Rule::none) {
    return {};
  }
  const memory::AccessRequest& r = d.request;
  std::string who = fmt::format("the {}", name(r.asker.kind));
  if (r.asker.asid != Asid::host) {
    who += fmt::format(" (ASID {}, VMPL{})", number(r.asker.asid), number(r.asker.vmpl));
  }
  return fmt::format(
             "{} {} of gVA {:#x}, gPA {:#x}, sPA {:#x}, C-bit {}, mapped as {}: the {} check of "
             "the RMP access table (hardware sheet 5.1, 5.2) failed. ",
             who, name(r.kind), d.linear, r.gpa.value(), r.spa.value(),
             r.encrypted ? "set" : "clear", r.mapping_size == PageSize::size_2m ? "2M" : "4K",
             name(d.rule)) +
         entry_story(r.spa.page(), d.has_entry ? &d.entry : nullptr);
}

void Explainer::vc_raised(u64 code, u64 rip) {
  if (code == svm::number(svm::ExitCode::page_not_validated)) {
    keep(fmt::format("#VC 404h (page not validated) at {}: {}", place(rip), access_story()));
  }
}

void Explainer::npf(u64 info1, GuestPhysical gpa, u64 rip) {
  pending_nested_.reset();
  if ((info1 & u64{1} << 31) != 0) {
    pending_nested_ = fmt::format(
        "Nested page fault with the RMP bit (EXITINFO1 {:#x}, gPA {:#x}) "
        "at {}: {}",
        info1, gpa.value(), place(rip), access_story());
  }
}

// RMP faults that the hypervisor resolves are its daily bread; those it cannot are reported.
void Explainer::npf(const kvm::NpfEvent& e) {
  if (pending_nested_ && (e.resolution == kvm::NpfResolution::unresolved ||
                          e.resolution == kvm::NpfResolution::spurious)) {
    keep(*pending_nested_ + fmt::format(" The hypervisor's verdict: {}.", kvm::name(e.resolution)));
  }
  pending_nested_.reset();
}

void Explainer::vmrun_refused(const cpu::LastRefusal& e) {
  keep(fmt::format("VMRUN was refused: {} (found {:#x}, wanted {:#x}; hardware sheet 9.1).", e.rule,
                   e.value, e.expected));
}

void Explainer::triple_fault(const cpu::FaultChain& e) {
  std::string out = "Triple fault. The exceptions that led to it, oldest first:";
  for (unsigned i = 0; i < e.count; ++i) {
    const cpu::Delivery& d = e.at[i];
    out += fmt::format(" vector {}{} at {}{};", d.vector,
                       d.has_error ? fmt::format(" error {:#x}", d.error) : std::string(),
                       place(d.rip), d.vector == 14 ? fmt::format(" CR2 {:#x}", d.cr2) : "");
  }
  out.back() = '.';
  keep(std::move(out));
}

void Explainer::command_done(const psp::CommandEvent& e) {
  if (e.status == psp::Status::success) {
    return;
  }
  std::string out = fmt::format("Firmware command {} ({:#x}) returned {}: {}.", e.name, e.id,
                                name(e.status), e.detail);
  if (e.page) {
    out += fmt::format(" It named sPA {:#x}, which was in state {}. ", e.page->at.value(),
                       e.page->state) +
           entry_story(e.page->at.page(), &e.page->entry);
  }
  keep(std::move(out));
}

void Explainer::host_rmp_fault(const kvm::HostRmpFaultEvent& e) {
  keep(fmt::format(
      "The host's write to sPA {:#x} raised #PF with error code {:#x} (RMP bit set): "
      "the page is not hypervisor-owned. {} To write there, have the guest share the page "
      "first (page state change); a page of the firmware's comes back by "
      "SNP_PAGE_RECLAIM.",
      e.address.value(), e.error_code, entry_story(e.address.page(), nullptr)));
}

void Explainer::rmp_instruction(const cpu::RmpInstructionEvent& e) {
  // A size mismatch is answered by the hypervisor's PSMASH and is daily bread.
  if (e.denied == memory::Rule::page_size) {
    return;
  }
  if (e.denied == memory::Rule::none &&
      (e.result == snp::RmpResult::success || e.result == snp::RmpResult::fail_sizemismatch) &&
      !e.carry) {
    return;
  }
  static constexpr const char* names[] = {"PVALIDATE", "RMPADJUST", "RMPQUERY"};
  const std::string outcome =
      e.denied != memory::Rule::none ? fmt::format("the {} check failed", name(e.denied))
      : e.carry                      ? std::string("CF=1: the page already was in that state")
                : fmt::format("EAX={} ({})", static_cast<u32>(e.result), memory::name(e.result));
  keep(fmt::format("{} of gVA {:#x} (gPA {:#x}, sPA {:#x}, RDX {:#x}) at {}: {}. {}",
                   names[static_cast<unsigned>(e.instruction)], e.address.value(), e.gpa.value(),
                   e.spa.value(), e.operand, place(e.rip), outcome,
                   entry_story(e.spa.page(), nullptr)));
}

}  // namespace softsnp::observe

// The guest's misdeeds: each runs one case of the sample guest (guest/samples/guest_cases.cpp).
#include "tests/end_to_end/negative_table.hpp"

namespace softsnp::end_to_end {
namespace {

using vmm::OutcomeKind;

// The guest survives and powers off, and each of the texts was printed; the last is shown.
Seen survives(const std::string& name, std::initializer_list<const char*> texts) {
  GuestRun run(sample_case(name));
  run.run();
  Seen seen{ending(run), run.outcome().kind == OutcomeKind::powered_off};
  for (const char* text : texts) {
    seen.text = line_with(run.output(), std::string(text).substr(0, std::string(text).find(": ")));
    if (!run.printed(text)) {
      seen.ok = false;
      seen.text += " [" + ending(run) + "]";
      break;
    }
  }
  return seen;
}

// The run ends in that way and says so; the explainer knows the reason.
Seen dies(GuestOptions options, OutcomeKind kind, int status, const char* said,
          const char* explained = nullptr) {
  GuestRun run(std::move(options));
  run.run();
  const vmm::RunOutcome& end = run.outcome();
  const bool why = explained == nullptr || run.explained(explained);
  return {
      ending(run) + (why ? "" : "; unexplained"),
      end.kind == kind && end.status == status && end.text.find(said) != std::string::npos && why};
}

Seen not_validated() {
  return survives("not-validated",
                  {"PVALIDATE rescind: EAX 0 CF 0", "write to the rescinded page: vector 29",
                   "read of the rescinded page: vector 29 error 0x404"});
}
Seen not_validated_unhandled() {
  return dies(sample_case("not-validated-unhandled"), OutcomeKind::no_progress, 5, "interrupts",
              "#VC 404h (page not validated)");
}
Seen double_validate() {
  return survives("double-validate", {"PVALIDATE rescind again: EAX 0 CF 1",
                                      "PVALIDATE of a validated page: EAX 0 CF 1"});
}
Seen size_mismatch() {
  return survives("size-mismatch", {"PVALIDATE 2M misaligned: EAX 1"});
}
Seen private_without_validate() {
  return survives("private-without-validate", {"read before PVALIDATE: vector 29 error 0x404"});
}
Seen rmpupdate_in_guest() {
  return survives("rmpupdate-in-guest", {"RMPUPDATE in a guest: EAX 2"});
}
Seen rmpadjust() {
  return survives("rmpadjust", {"RMPADJUST VMPL1 read: EAX 0", "RMPADJUST level 9: EAX 1",
                                "RMPADJUST own level: EAX 2"});
}
// The host reads ciphertext where it would look for a request, so it answers nothing; guests that
// wait for an answer see the page unchanged.
Seen ghcb_not_shared() {
  return survives("ghcb-not-shared", {"still here"});
}
Seen ghcb_unregistered() {
  return dies(sample_case("ghcb-unregistered"), OutcomeKind::internal_fault, 1, "regist");
}
Seen bad_requests() {
  return survives("bad-requests",
                  {"unknown event: info1 2 info2 6", "CPUID without inputs: info1 2 info2 4",
                   "scratch outside the GHCB: info1 2 info2 3", "unknown usage: info1 2 info2 2",
                   "unknown MSR code: 0xabc", "misaligned PSC: 0x100000002"});
}
Seen termination() {
  return dies(sample_case("terminate"), OutcomeKind::terminated, 3,
              "reason set 1 (Linux), code 2: PVALIDATE failed");
}
Seen triple_fault() {
  return dies(sample_case("triple-fault"), OutcomeKind::triple_fault, 4, "triple fault",
              "Triple fault. The exceptions that led to it");
}
Seen halt() {
  return dies(sample_case("halt"), OutcomeKind::no_progress, 5, "interrupts");
}
Seen spin() {
  GuestOptions options = sample_case("spin");
  options.timeout = std::chrono::milliseconds(300);
  return dies(std::move(options), OutcomeKind::timed_out, 5, "time-out");
}
Seen exit_code() {
  return dies(sample_case("exit-code"), OutcomeKind::debug_exit, 67, "isa-debug-exit");
}
Seen refused_policy() {
  GuestOptions options;
  options.policy = 0;
  return dies(std::move(options), OutcomeKind::bad_input, 2, "policy");
}

constexpr Negative cases[] = {
    {"access to a not-validated page", "#VC 404h in the guest, which handles it", not_validated},
    {"the same, guest without a handler", "halts for good: status 5, explained",
     not_validated_unhandled},
    {"double PVALIDATE", "EAX 0 and CF=1 both times", double_validate},
    {"PVALIDATE of a misaligned 2M page", "EAX 1 (FAIL_INPUT)", size_mismatch},
    {"page made private but not validated", "#VC 404h", private_without_validate},
    {"RMPUPDATE in a guest", "EAX 2 (FAIL_PERMISSION)", rmpupdate_in_guest},
    {"RMPADJUST of a level not below, not existing", "EAX 2, EAX 1", rmpadjust},
    {"GHCB outside shared memory", "no answer; the guest goes on", ghcb_not_shared},
    {"unregistered GHCB", "KVM_RUN fails with EINVAL: status 1", ghcb_unregistered},
    {"malformed GHCB requests", "EXITINFO1 2 with the code of each", bad_requests},
    {"guest asks for termination", "status 3, reason by name", termination},
    {"triple fault", "status 4, chain of exceptions explained", triple_fault},
    {"HLT with interrupts off", "status 5, named", halt},
    {"endless loop", "time-out: status 5", spin},
    {"exit by isa-debug-exit", "value 21h: status 67", exit_code},
    {"policy 0", "refused by the firmware: status 2", refused_policy},
};

}  // namespace

std::span<const Negative> guest_misdeeds() {
  return cases;
}

}  // namespace softsnp::end_to_end

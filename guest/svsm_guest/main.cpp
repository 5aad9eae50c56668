// A guest at VMPL2 that tries its SVSM: all conformance cases, or with case=NAME on the command
// line one thing.
#include "arch/boot/boot_params.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/exceptions.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"
#include "guest/svsm_guest/cases.hpp"
#include "guest/svsm_guest/machine_stage.hpp"
#include "guest/vmpl0/guarded.hpp"

asm(R"(
.section .text.entry, "ax"
.globl guest_entry
guest_entry:
  lea svsm_guest_stack_top(%rip), %rsp
  mov %rsi, %rdi
  xor %ebp, %ebp
  call svsm_guest_start
  ud2
.bss
.balign 16
.skip 32768
svsm_guest_stack_top:
.text
)");

extern "C" [[noreturn]] void svsm_guest_start(const softsnp::u8* boot_params);

namespace softsnp::guest {
namespace {

const char* command_line(const u8* boot_params) {
  const auto& params = *reinterpret_cast<const boot::BootParams*>(boot_params);
  return reinterpret_cast<const char*>(static_cast<u64>(params.header.cmd_line_ptr));
}

// The whole line is "case=NAME".
bool is_chosen(const char* line, const char* name) {
  const auto skip = [&line](const char* text) {
    while (*text != 0 && *line == *text) {
      ++line;
      ++text;
    }
    return *text == 0;
  };
  return skip("case=") && skip(name) && *line == 0;
}

void conform(Environment& environment) {
  MachineStage stage(environment);
  conformance::run_all(stage);
  environment.console << "SVSM conformance: " << stage.judged() << " judged, " << stage.failed()
                      << " failed\n";
}

}  // namespace
}  // namespace softsnp::guest

void svsm_guest_start(const softsnp::u8* boot_params) {
  using namespace softsnp::guest;
  Environment environment = set_up(boot_params);
  environment.console << "at VMPL" << softsnp::u64{number(environment.location.vmpl)} << "\n";
  const char* const line = command_line(boot_params);
  bool done = false;
  for (const SvsmCase& one : svsm_cases()) {
    if (is_chosen(line, one.name)) {
      one.run(environment);
      done = true;
    }
  }
  if (!done) {
    conform(environment);
  }
  power_off(environment);
}

// Faults of the guarded accesses; others end the guest.
void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  if (!softsnp::svsm::end_guarded(*frame)) {
    softsnp::guest::HardwareProcessor processor;
    softsnp::guest::terminate(processor, softsnp::guest::Cause::vc_unsupported);
  }
}

// The compiler calls these whatever the flags say.
extern "C" {
void* memset(void* to, int value, softsnp::usize size) {
  void* at = to;
  asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
  return to;
}
void* memcpy(void* to, const void* from, softsnp::usize size) {
  void* at = to;
  asm volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
  return to;
}
}

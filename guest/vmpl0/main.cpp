// The SVSM's life: take over, give the guest what is its own, then serve it.
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/vmpl0/console.hpp"
#include "guest/vmpl0/guarded.hpp"
#include "guest/vmpl0/processors.hpp"
#include "guest/vmpl0/program.hpp"

namespace softsnp::svsm {
namespace {

void say_hello(Program& program) {
  guest::GhcbClient client = own_ghcb(program);
  const State& state = program.state;
  const Stretch own = state.memory.own;
  Console console(client);
  console << "softsnp SVSM: " << state.vcpus.count() << " vCPU(s), memory ";
  console.hex(own.start.value()) << "-";
  console.hex(own.start.value() + own.bytes - 1) << ", guest at VMPL";
  console << u64{number(state.guest_vmpl)} << "\n";
}

// A few: a guest may fail as often as it likes.
void report_failure(Program& program, guest::GhcbClient& client, u64 failed_before) {
  constexpr u64 most_lines = 8;
  const FailedEntry& failed = program.state.failed;
  if (failed.count == failed_before || failed.count > most_lines) {
    return;
  }
  Console console(client);
  console << "softsnp SVSM: PVALIDATE of ";
  console.hex(failed.entry.page().value())
      << (failed.entry.raw_size() == 0 ? ", 4K, " : ", 2M, ")
      << (failed.entry.validate() ? "validate" : "rescind") << ": ";
  console.hex(number(failed.result)) << "\n";
}

Turn serve_once(Program& program, usize processor) {
  const Locked locked(program.lock);
  guest::GhcbClient client = own_ghcb(program);
  program.reporter.use(&client);
  const u64 failed_before = program.state.failed.count;
  const Turn turn = serve({program.platform, program.state, program.reporter, nullptr}, processor);
  program.reporter.use(nullptr);
  report_failure(program, client, failed_before);
  return turn;
}

}  // namespace

// A guest vCPU that the host will not run yet, or that does not exist, is waited for.
void serve_forever(Program& program, usize processor) {
  guest::MsrProtocol msr(program.processor);
  for (;;) {
    const bool runs = serve_once(program, processor) == Turn::run_guest &&
                      msr.run_vmpl(program.state.guest_vmpl).ok();
    if (!runs) {
      program.processor.halt();
    }
  }
}

}  // namespace softsnp::svsm

extern "C" {
[[noreturn]] void svsm_start(const softsnp::boot::SvsmLaunchPages* pages);
[[noreturn]] void svsm_processor_start(softsnp::u64 processor);
}

void svsm_start(const softsnp::boot::SvsmLaunchPages* pages) {
  using namespace softsnp::svsm;
  Program& all = program();
  take_over(all, *pages);
  set_up_ghcbs(all, pages->launch);
  fill_secrets(all, pages->launch);
  hand_over_memory(all, pages->launch);
  make_startup_vcpu(all, *pages);
  start_processors(all);
  say_hello(all);
  serve_forever(all, 0);
}

void svsm_processor_start(softsnp::u64 processor) {
  using namespace softsnp;
  svsm::Program& all = svsm::program();
  guest::or_terminate(
      all.processor,
      guest::register_ghcb(all.processor, svsm::physical(&svsm_processors.ghcbs[processor])));
  svsm::serve_forever(all, processor);
}

// Faults on the guest's pages are answers. Nothing else is expected: no instruction of ours is
// intercepted.
void softsnp_guest_exception(softsnp::guest::Frame* frame) {
  using namespace softsnp;
  if (!svsm::end_guarded(*frame)) {
    guest::terminate(svsm::program().processor, guest::Cause::vc_unsupported);
  }
}

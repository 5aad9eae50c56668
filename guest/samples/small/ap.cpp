// Starts the vCPU with APIC id 1 in 64-bit mode; it counts, says so in memory, and stops.
#include "guest/runtime/ap_start.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

// The upper of two pages: never at a 2 MiB boundary.
struct SaveArea {
  alignas(2 * page_size) u8 unused[page_size];
  svm::Vmsa vmsa;
} save_area;
alignas(page_size) svsm::CallingArea calling_area;
alignas(16) u8 stack[4096];
volatile u64 mailbox;

[[noreturn]] void second_cpu(u64 argument) {
  mailbox = argument * 3;
  halt_forever();
}

}  // namespace

void run(SmallGuest& guest) {
  LongModeStart start{};
  start.rip = reinterpret_cast<u64>(&second_cpu);
  start.rsp = reinterpret_cast<u64>(stack + sizeof stack) - 8;
  start.argument = 14;
  start.cr3 = read_cr3();
  fill_vmsa(save_area.vmsa, {guest.vmpl(), guest.sev_status() >> snp::sev_status::feature_shift},
            start);
  ApStarter starter(guest.ghcb(), {}, guest.vmpl() == Vmpl::vmpl0 ? nullptr : &guest.svsm());
  guest.must(starter.start(1, save_area.vmsa, DirectMap{}.of(&calling_area)));
  // The hypervisor may promise and not deliver.
  for (u64 patience = 0; mailbox == 0 && patience < 10'000'000; ++patience) {
    guest.processor().relax();
  }
  if (mailbox == 0) {
    guest.end(Cause::ap_not_started);
  }
  check(guest, "the second vCPU has counted", mailbox == 42);
  const u64 features = guest.sev_status() >> snp::sev_status::feature_shift;
  guest.must(starter.destroy(1, save_area.vmsa, guest.vmpl(), features));
  save_area.vmsa.raw[0] = 1;
  check(guest, "its save area is ordinary memory again", save_area.vmsa.raw[0] == 1);
}

}  // namespace softsnp::guest

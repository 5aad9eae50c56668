// case=alternate: VMPL2 under alternate injection. The host brings its timer's interrupts to VMPL0
// by the doorbell page, VMPL0 injects them.
#include "guest/runtime/ap_start.hpp"
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/hv_alternate.hpp"
#include "guest/samples/guest_cases.hpp"
#include "guest/samples/guest_hv.hpp"
#include "guest/samples/guest_lower.hpp"
#include "guest/samples/guest_main.hpp"

namespace softsnp::guest {
namespace {

constexpr u8 notify_vector = 0x50, timer_vector = 0x61;
constexpr u64 interrupts_wanted = 8;

AlternateApic apic;

struct Handing final : HvHandlers {
  void interrupt(u8 vector) override {
    const VmplTaken taken = take_vmpl_interrupts(doorbell_page(), 2);
    others += vector == notify_vector ? 0 : 1;
    if (const u8 edge = taken.edges.highest()) {
      apic.post(edge);
      ++handed;
    }
  }
  void nmi() override {}
  void machine_check() override { power_off(); }
  void fatal(const Trouble& trouble) override {
    print("the host broke the protocol: ", name(trouble.cause), "\n");
    power_off();
  }
  u64 handed = 0, others = 0;
};

Handing handing;

void ask(ghcb::Event event, u64 info1) {
  const GhcbUse use(ghcb());
  ghcb().begin();
  if (const auto done = ghcb().call(number(event), info1, 0); !done) {
    handing.fatal(done.error());
  }
}

void mmio_write(u64 at, u32 value) {
  const GhcbUse use(ghcb());
  ghcb().begin();
  ghcb().set_buffer(&value, sizeof value);
  (void)ghcb().call(number(ghcb::Event::mmio_write), at, sizeof value);
}

// The PIT's channel 0, once a millisecond, by the I/O APIC's input 2.
void start_timer() {
  constexpr u64 ioapic = 0xFEC00000, window = ioapic + 0x10;
  const u32 entry[] = {0x15, 0, 0x14, timer_vector};
  for (unsigned i = 0; i < 4; i += 2) {
    mmio_write(ioapic, entry[i]);
    mmio_write(window, entry[i + 1]);
  }
  constexpr u16 millisecond = 1193;
  out8(0x43, 0x34);
  out8(0x40, millisecond & 0xFF);
  out8(0x40, millisecond >> 8);
}

}  // namespace

void case_alternate() {
  HvEvents& events = start_doorbell(handing);
  ask(ghcb::Event::configure_injection, notify_vector);
  svm::Vmsa& vmsa = make_lower_vmpl(timer_vector);
  start_timer();
  u64 at_once = 0, in_a_window = 0;
  while (lower_interrupts() < interrupts_wanted) {
    apic.present(vmsa);
    at_once += (vmsa.eventinj & svm::event::valid) != 0 ? 1 : 0;
    in_a_window += (vmsa.vintr_ctrl & svm::vintr_ctrl::v_irq) != 0 ? 1 : 0;
    if (const auto back = events.run_vmpl(Vmpl::vmpl2); !back) {
      handing.fatal(back.error());
    }
    apic.recall(vmsa);
    (void)apic.end_of_interrupt();
  }
  print("  VMPL2 took ", lower_interrupts(), " of ", handing.handed, " handed to VMPL0\n");
  print("  injected ", at_once, ", by window ", in_a_window, ", others ", handing.others, "\n");
}

}  // namespace softsnp::guest

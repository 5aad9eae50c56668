// case=doorbell: timer interrupts, IPIs and an NMI through the doorbell page.
#include "guest/runtime/console.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/samples/guest_cases.hpp"
#include "guest/samples/guest_hv.hpp"
#include "guest/samples/guest_main.hpp"

namespace softsnp::guest {
namespace {

constexpr u8 ipi_vector = 0x41, timer_vector = 0x60;
constexpr u64 to_self = u64{1} << 18, as_nmi = 4 << 8;
constexpr u64 tick = 1'000'000;
constexpr u64 ticks_wanted = 5;

u64 rdtsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

// #HV's handler counts, the rest of the guest looks.
class Count {
 public:
  void add() { __atomic_fetch_add(&value_, 1, __ATOMIC_SEQ_CST); }
  operator u64() const { return __atomic_load_n(&value_, __ATOMIC_SEQ_CST); }

 private:
  u64 value_ = 0;
};

struct Counting final : HvHandlers {
  void interrupt(u8 vector) override {
    (vector == timer_vector ? ticks : vector == ipi_vector ? ipis : others).add();
    if (vector == timer_vector && ticks < ticks_wanted) {
      arm();
    }
  }
  void nmi() override { nmis.add(); }
  void machine_check() override {
    print("machine check\n");
    power_off();
  }
  void fatal(const Trouble& trouble) override {
    print("the host broke the protocol: ", name(trouble.cause), "\n");
    power_off();
  }
  void arm() {
    if (const auto armed = doorbell().set_timer(rdtsc() + tick, timer_vector); !armed) {
      fatal(armed.error());
    }
  }

  Count ticks, ipis, nmis, others;
};

Counting counting;

void send(u64 icr) {
  if (const auto sent = doorbell().send_ipi(to_self | icr); !sent) {
    counting.fatal(sent.error());
  }
}

}  // namespace

void case_doorbell() {
  HvEvents& events = start_doorbell(counting);
  counting.arm();
  while (counting.ticks < ticks_wanted) {
    events.wait();
  }
  print("  timer ", u64{counting.ticks}, "\n");
  send(ipi_vector);
  print("  IPI with interrupts off ", u64{counting.ipis}, "\n");
  events.enable_interrupts();
  print("  and on ", u64{counting.ipis}, "\n");
  send(ipi_vector);
  send(ipi_vector);
  print("  IPIs ", u64{counting.ipis}, "\n");
  events.set_priority(ipi_vector);
  send(ipi_vector);
  print("  held back by priority ", u64{counting.ipis}, "\n");
  events.set_priority(0);
  print("  let through ", u64{counting.ipis}, "\n");
  send(as_nmi);
  print("  NMI ", u64{counting.nmis}, ", others ", u64{counting.others}, "\n");
}

}  // namespace softsnp::guest

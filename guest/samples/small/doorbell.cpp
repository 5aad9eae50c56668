// Restricted injection (run it with --injection restricted --smp 2): interrupts come by a page that
// the vCPU shares with the host. Two vCPUs throw each other a vector; then one sends an NMI.
#include "guest/runtime/ap_start.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/hv_exception.hpp"
#include "guest/samples/small/sample.hpp"

namespace softsnp::guest {
namespace {

constexpr DirectMap identity{};
constexpr u8 ball = 0x50;  // plus the number of the vCPU that it is thrown to
constexpr u64 rounds = 5, as_nmi = 4 << 8;

struct alignas(page_size) Bell : ghcb::DoorbellPage {};  // nothing else in its page
struct alignas(page_size) Shared {
  ghcb::Ghcb ghcb;  // the second vCPU's
  Bell bells[2];
} shared;
struct SecondCpu {
  alignas(2 * page_size) u8 stack[page_size];
  svm::Vmsa vmsa;  // the upper of two pages: never at a 2 MiB boundary
  ExceptionTables exceptions;
} second_cpu;

class Player final : HvHandlers {
 public:
  Player(SmallGuest& guest, GhcbClient& client, u32 number)
      : guest_(guest),
        bell_(client, shared.bells[number], identity.of(&shared.bells[number])),
        number_(number) {}

  void start() { must(bell_.start()), must(bell_.enable_apic()); }
  void send(u64 what) { must(bell_.send_ipi(u64{1 - number_} << 32 | what)); }
  void wait() { events_.wait(); }
  void arrived(Frame& frame) { events_.arrived(frame.rip, (frame.rflags & 1 << 9) != 0); }
  volatile u64 caught = 0, nmis = 0;

 private:
  void interrupt(u8 vector) override {
    caught = caught + (vector == ball + number_ ? 1 : 0);
    if (number_ == 1 || caught < rounds) {
      send(ball + 1 - number_);
    }
  }
  void nmi() override { nmis = nmis + 1; }
  void machine_check() override { guest_.end(Cause::host_error); }
  void fatal(const Trouble& trouble) override { guest_.end(trouble.cause); }
  void must(const Handled<void>& done) { done ? void() : fatal(done.error()); }

  SmallGuest& guest_;
  HvDoorbell bell_;
  u32 number_;
  HvEvents events_{guest_.processor(), bell_, *this, hv_code()};
};

Player *first, *second;

// Which vCPU: the one whose stack this is.
void hv(Frame& frame) {
  const auto at = reinterpret_cast<u8*>(&frame);
  (at >= second_cpu.stack && at < second_cpu.vmsa.raw ? second : first)->arrived(frame);
}

[[noreturn]] void run_second(SmallGuest* guest) {
  install_exceptions(second_cpu.exceptions);
  guest->must(register_ghcb(guest->processor(), identity.of(&shared)));
  second->start();
  second->send(ball);
  for (;;) {
    second->wait();
  }
}
}  // namespace

void run(SmallGuest& guest) {
  guest.must(guest.conversion().make_shared({identity.of(&shared), sizeof shared / page_size}));
  shared = {};
  GhcbClient client(guest.processor(), shared.ghcb, identity.of(&shared), guest.protocol().version);
  Player here(guest, guest.ghcb(), 0), there(guest, client, 1);
  first = &here, second = &there, on_hv(hv);
  here.start();
  LongModeStart start{reinterpret_cast<u64>(run_second),
                      reinterpret_cast<u64>(&second_cpu.vmsa) - 8, reinterpret_cast<u64>(&guest),
                      read_cr3()};
  fill_vmsa(second_cpu.vmsa, {guest.vmpl(), guest.sev_status() >> snp::sev_status::feature_shift},
            start);
  guest.must(ApStarter(guest.ghcb(), {}).start(1, second_cpu.vmsa));
  while (here.caught < rounds) {
    here.wait();
  }
  here.send(as_nmi);
  for (u64 patience = 0; there.nmis == 0 && patience < 10'000'000; ++patience) {
    guest.processor().relax();
  }
  check(guest, "each throw was caught, and the NMI", there.caught >= rounds - 1 && there.nmis == 1);
}

}  // namespace softsnp::guest

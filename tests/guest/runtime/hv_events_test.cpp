// Restricted injection as the guest lives it, natively: a host that posts into the page whenever
// the guest gives it the chance. GHCB sheet 4.4.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "guest/runtime/hv_exception.hpp"

namespace softsnp::guest {
namespace {

using ghcb::Event;
namespace flag = ghcb::doorbell;

struct Ask {
  u64 code, info1, info2, rcx;
  friend bool operator==(const Ask&, const Ask&) = default;
};

// Processor and host in one.
class World final : public Processor {
 public:
  u64 read_msr(u32) override { return msr; }
  void write_msr(u32, u64) override {}
  void vmgexit() override {
    asked.push_back({page.sw_exitcode, page.sw_exitinfo1, page.sw_exitinfo2, page.rcx});
    Reply reply;
    if (asked.back().code == number(Event::hv_doorbell_page)) {
      reply.info2 = asked.back().info2;
    }
    if (answer) {
      reply = answer(asked.back());
    }
    page.sw_exitinfo1 = reply.info1;
    page.sw_exitinfo2 = reply.info2;
  }
  svsm::Registers vmgexit_with(const svsm::Registers& in) override { return in; }
  RmpOutcome pvalidate(GuestVirtual, PageSize, bool) override { return {}; }
  u32 rmpadjust(GuestVirtual, PageSize, Vmpl, u8, bool) override { return 0; }
  u64 read_cr3() override { return 0; }
  u64 read_cr2() override { return 0; }
  u64 read_cr4() override { return 0; }
  u64 read_xcr0() override { return 1; }
  void flush_tlb() override {}
  bool disable_interrupts() override { return std::exchange(on, false); }
  // Between STI and whatever comes next the host has its chance.
  void enable_interrupts() override {
    on = true;
    if (!after_sti.empty()) {
      const auto act = after_sti.front();
      after_sti.pop_front();
      act();
    }
  }
  void relax() override {}
  void halt() override {}

  alignas(page_size) ghcb::Ghcb page{};
  u64 msr = 0x17;
  bool on = false;
  std::vector<Ask> asked;
  std::function<Reply(const Ask&)> answer;
  std::deque<std::function<void()>> after_sti;
};

struct Guest final : HvHandlers {
  Guest()
      : client(world, world.page, GuestPhysical(0x1000), 2),
        doorbell(client, bell, GuestPhysical(0x5000)),
        events(world, doorbell, *this,
               HvCode{{0x100, 0x103, 0x104}, {0x200, 0x208, 0x210}, &Guest::idle, &Guest::change}) {
    the_guest = this;
  }
  void interrupt(u8 vector) override {
    EXPECT_FALSE(world.on);
    log += "i" + std::to_string(vector) + " ";
  }
  void nmi() override { log += "nmi "; }
  void machine_check() override { log += "mc "; }
  void fatal(const Trouble&) override { log += "fatal "; }

  void post(u8 vector) {
    bell.vector = vector;
    bell.flags |= flag::no_further_signal;
  }
  // #HV, as the stub calls it.
  void hv(u64 at = 0x900) {
    rip = at;
    const bool were_on = world.disable_interrupts();
    events.arrived(rip, were_on);
    EXPECT_EQ(world.on, were_on);
  }
  static void idle(const volatile u8*) {
    ++the_guest->halts;
    if (the_guest->while_idle) {
      the_guest->while_idle();
    }
    the_guest->world.on = false;
  }

  static u32 change(const volatile u8*, u32 vmpl) {
    the_guest->log += "vmpl" + std::to_string(vmpl) + " ";
    return the_guest->while_switching ? the_guest->while_switching() : 1;
  }

  World world;
  ghcb::DoorbellPage bell{};
  GhcbClient client;
  HvDoorbell doorbell;
  HvEvents events;
  std::string log;
  u64 rip = 0;
  unsigned halts = 0;
  std::function<void()> while_idle;
  std::function<u32()> while_switching;
  static inline Guest* the_guest = nullptr;
};

const Ask eoi{0x7C, 1, 0, 0x80B};

TEST(HvDoorbell, RegistersItsPageAndNoOther) {
  Guest g;
  ASSERT_TRUE(g.doorbell.start().ok());
  EXPECT_EQ(g.world.asked[0].info1, 1u);
  EXPECT_EQ(g.world.asked[0].info2, 0x5000u);
  g.world.answer = [](const Ask&) { return Reply{0, 0x6000}; };
  EXPECT_EQ(g.doorbell.start().error().cause, Cause::host_error);
  g.world.answer = [](const Ask&) { return Reply{2, 5}; };
  EXPECT_EQ(g.doorbell.start().error().cause, Cause::host_error);
}

TEST(HvEvents, TakesVectorAndFlagsAndEndsTheInterrupt) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  g.bell.flags |= flag::nmi;
  g.hv();
  EXPECT_EQ(g.log, "nmi i65 ");
  EXPECT_EQ(g.bell.vector, 0);
  EXPECT_EQ(g.bell.flags, 0);
  EXPECT_EQ(g.world.asked, std::vector<Ask>{eoi});
}

TEST(HvEvents, NoEoiWhereTheHostNeedsNone) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  g.bell.no_eoi_required = 1;
  g.hv();
  EXPECT_TRUE(g.world.asked.empty());
  EXPECT_EQ(g.bell.no_eoi_required, 0);
}

// The handler's EOI is an exit: the next vector may be there when it returns.
TEST(HvEvents, WhatComesDuringAnEoiIsTakenToo) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  unsigned posted = 0;
  g.world.answer = [&](const Ask&) {
    if (posted++ < 2) {
      g.post(0x50);
    }
    return Reply{};
  };
  g.hv();
  EXPECT_EQ(g.log, "i65 i80 i80 ");
  EXPECT_EQ(g.bell.flags, 0);
}

TEST(HvEvents, InterruptsOffHoldAllBackButNmis) {
  Guest g;
  g.post(0x41);
  g.bell.flags |= flag::nmi;
  g.hv();
  EXPECT_EQ(g.log, "nmi ");
  EXPECT_EQ(g.bell.vector, 0x41);
  EXPECT_EQ(g.bell.flags, flag::no_further_signal) << "the host must not think it was taken";
  g.events.enable_interrupts();
  EXPECT_EQ(g.log, "nmi i65 ");
  EXPECT_TRUE(g.world.on);
}

// #HV comes between the last look and the return: it finds IF = 1 and is a handler of its own.
TEST(HvEvents, NothingIsLostAtTheEndOfAHandler) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  g.world.after_sti.push_back([&] {
    g.post(0x42);
    g.hv();
  });
  g.hv();
  EXPECT_EQ(g.log, "i65 i66 ");
  EXPECT_FALSE(g.doorbell.pending(0));
}

TEST(HvEvents, PriorityHoldsVectorsBack) {
  Guest g;
  g.world.on = true;
  g.events.set_priority(0x40);
  g.post(0x4F);
  g.hv();
  EXPECT_EQ(g.log, "");
  EXPECT_EQ(g.bell.vector, 0x4F) << "not in service, so not taken";
  EXPECT_FALSE(g.doorbell.pending(g.events.priority()));
  g.events.set_priority(0x30);
  EXPECT_EQ(g.log, "i79 ");
}

TEST(HvEvents, MachineCheckIsToldFirst) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  g.bell.flags |= flag::machine_check | flag::nmi;
  g.hv();
  EXPECT_EQ(g.log, "mc nmi i65 ");
}

TEST(HvEvents, SpuriousSignalsChangeNothing) {
  Guest g;
  g.world.on = true;
  for (int i = 0; i < 100; ++i) {
    g.bell.flags = i % 2 != 0 ? flag::no_further_signal : u8{0};
    g.hv();
  }
  g.bell.flags = 0x7C;  // reserved bits
  g.hv();
  EXPECT_EQ(g.log, "");
  EXPECT_TRUE(g.world.asked.empty());
}

TEST(HvEvents, RefusedEoiIsFatal) {
  Guest g;
  g.world.on = true;
  g.post(0x41);
  g.world.answer = [](const Ask&) { return Reply{1, 0x80000B0D}; };
  g.hv();
  EXPECT_EQ(g.log, "i65 fatal ");
}

TEST(HvIdle, HaltsOnlyIfNothingWaits) {
  Guest g;
  g.post(0x41);
  g.events.wait();
  EXPECT_EQ(g.halts, 0u);
  EXPECT_EQ(g.log, "i65 ");
  g.while_idle = [&] {
    g.world.on = true;
    g.post(0x42);
    g.hv(0x104);  // woken behind the HLT
    EXPECT_EQ(g.rip, 0x104u);
  };
  g.events.wait();
  EXPECT_EQ(g.halts, 1u);
  EXPECT_EQ(g.log, "i65 i66 ");
  EXPECT_FALSE(g.world.on);
}

// Between the decision to halt and the HLT, with IF still 0 or already 1.
TEST(HvIdle, NoHltAfterAnHvInTheWindow) {
  for (const u64 at : {u64{0x100}, u64{0x103}}) {
    Guest g;
    g.while_idle = [&] {
      g.world.on = at == 0x103;
      g.post(0x42);
      g.hv(at);
      EXPECT_EQ(g.rip, 0x104u);
    };
    g.events.wait();
    EXPECT_EQ(g.log, "i66 ");
  }
  Guest g;
  g.post(0x42);
  g.hv(0xFF);
  EXPECT_EQ(g.rip, 0xFFu);
}

// GHCB sheet 4.4: before a VMPL switch as before HLT.
TEST(HvSwitch, NoOtherVmplWhileSomethingWaits) {
  Guest g;
  g.post(0x41);
  ASSERT_TRUE(g.events.run_vmpl(Vmpl::vmpl2).ok());
  EXPECT_EQ(g.log, "i65 vmpl2 ");
  unsigned tries = 0;
  g.log.clear();
  g.while_switching = [&]() -> u32 {
    if (tries++ == 0) {
      g.post(0x42);
      g.hv(0x208);
      EXPECT_EQ(g.rip, 0x210u);
      return 0;
    }
    g.post(0x43);  // brings VMPL0 back
    g.hv(0x20C);
    return 1;
  };
  ASSERT_TRUE(g.events.run_vmpl(Vmpl::vmpl2).ok());
  EXPECT_EQ(g.log, "vmpl2 i66 vmpl2 i67 ");
  g.world.msr = 0x1'0000'0017;
  g.while_switching = {};
  EXPECT_FALSE(g.events.run_vmpl(Vmpl::vmpl2).ok());
}

TEST(HvDoorbell, IpiAndTimer) {
  Guest g;
  ASSERT_TRUE(g.doorbell.send_ipi(0x40041).ok());
  ASSERT_TRUE(g.doorbell.set_timer(123456, 0x50).ok());
  EXPECT_EQ(g.world.asked[0].code, 0x80000015u);
  EXPECT_EQ(g.world.asked[0].info1, 0x40041u);
  EXPECT_EQ(g.world.asked[1].code, 0x80000016u);
  EXPECT_EQ(g.world.asked[1].info1, 123456u);
  EXPECT_EQ(g.world.asked[1].info2, 0x50u);
}

}  // namespace
}  // namespace softsnp::guest

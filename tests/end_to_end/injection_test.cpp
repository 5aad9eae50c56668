// Restricted and alternate injection from the command line to the guest.
#include <gtest/gtest.h>

#include "arch/ghcb/doorbell.hpp"
#include "tests/end_to_end/hostile_host.hpp"
#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

// Linux 6.12 knows neither mode: its decompressor says so before it does anything else.
TEST(InjectionLinux, TerminatesByName) {
  LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "no kernel: scripts/fetch_kernels.sh";
  GuestOptions options = linux_guest.options(image::Mode::snp);
  options.injection = snp::InjectionMode::restricted;
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::terminated);
  EXPECT_EQ(run.outcome().text,
            "the guest asked for termination: reason set 0 (GHCB specification), code 2: SNP "
            "features not sufficient; EXITINFO2 0x20 (SEV_STATUS: RestrictedInjection)");
  EXPECT_TRUE(run.output().empty()) << run.output();
}

// The SVSM's own vCPUs are guarded, those of the kernel below it are not: it takes normal
// interrupts.
TEST(InjectionLinux, RunsBelowAGuardedSvsm) {
  const LinuxGuest linux_guest;
  ASSERT_TRUE(linux_guest.is_there()) << "no kernel: scripts/fetch_kernels.sh";
  const TemporaryFile initrd(linux_guest.initrd_with_tools());
  const ProgramResult boot =
      run_program({"run", "--svsm", "--smp", "2", "--injection", "restricted", "--timeout", "250",
                   "--kernel", guest_file("vmlinuz-6.12"), "--initrd", initrd.path(), "--append",
                   LinuxGuest::append_for("svsm.sh") + " softsnp.nonce=" + std::string(128, 'a')});
  EXPECT_EQ(boot.status, 0) << boot.err;
  for (const char* text : {"SEV: SNP running at VMPL2.", "smp: Brought up 1 node, 2 CPUs"}) {
    EXPECT_NE(boot.out.find(text), std::string::npos) << text << " in: " << boot.out;
  }
}

TEST(Injection, MeasureKnowsTheFeatures) {
  const ProgramResult measured = run_program({"measure", "--guest-features", "9"});
  ASSERT_EQ(measured.status, 0) << measured.err;
  const std::string digest = measured.out.substr(0, 96);
  for (const char* mode : {"restricted", "alternate"}) {
    const ProgramResult ran = run_program({"run", "--injection", mode, "--timeout", "20"});
    EXPECT_NE(ran.err.find("digest " + digest), std::string::npos) << ran.err;
    EXPECT_NE(ran.out.find("SEV_STATUS 0x27"), std::string::npos) << ran.out;
  }
  EXPECT_NE(run_program({"measure"}).out.substr(0, 96), digest);
}

GuestOptions guest(snp::InjectionMode injection, const char* name) {
  GuestOptions options = sample_case(name);
  options.injection = injection;
  return options;
}
GuestOptions doorbell_guest() {
  return guest(snp::InjectionMode::restricted, "doorbell");
}
GuestOptions alternate_guest() {
  return guest(snp::InjectionMode::alternate, "alternate");
}

constexpr const char* doorbell_says =
    "  timer 5\n"
    "  IPI with interrupts off 0\n"
    "  and on 1\n"
    "  IPIs 3\n"
    "  held back by priority 3\n"
    "  let through 4\n"
    "  NMI 1, others 0\n";

TEST(Injection, TimerIpiAndNmiThroughTheDoorbell) {
  GuestRun run(doorbell_guest());
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed(doorbell_says)) << run.output();
}

TEST(Injection, InterruptsOfALowerVmplThroughVmpl0) {
  GuestRun run(alternate_guest());
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed("  VMPL2 took 8 of ")) << run.output();
  EXPECT_TRUE(run.printed(", others 0\n")) << run.output();
  EXPECT_FALSE(run.printed("injected 0")) << run.output();
  EXPECT_FALSE(run.printed("by window 0")) << run.output();
}

// The guest finds no #HV doorbell event where the host was not told of one.
TEST(Injection, WithoutTheModeThereIsNoDoorbell) {
  GuestRun run(guest(snp::InjectionMode::normal, "doorbell"));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::terminated) << run.output();
}

TEST(Injection, TwoRunsAreOne) {
  for (const auto& options : {doorbell_guest(), alternate_guest()}) {
    const auto record = [&] {
      GuestOptions traced = options;
      traced.trace = true;
      GuestRun run(std::move(traced));
      run.run();
      return std::pair(run.trace(), run.dram_digest());
    };
    const auto one = record();
    EXPECT_FALSE(one.first.empty());
    EXPECT_TRUE(one == record()) << options.append;
  }
}

using Edit = std::function<void(svm::Vmcb&)>;

GuestOptions edited(GuestOptions options, const Edit& edit) {
  options.host = [edit](machine::HostPort& honest) -> std::unique_ptr<machine::HostPort> {
    auto host = std::make_unique<EntryEditor>(honest);
    host->at_each_entry(edit);
    return host;
  };
  return options;
}

// WeSee's #VC, Heckler's int 80h and whatever else a host might want (hardware sheet 10.2): the
// processor refuses the entry.
TEST(HostileInjection, OtherEventsThanHvAreRefused) {
  using svm::event::make;
  using svm::event::Type;
  for (const u64 event :
       {make(0x41, Type::interrupt), make(2, Type::nmi), make(29, Type::exception, true, 0x72),
        make(13, Type::exception, true), make(14, Type::exception, true), make(28, Type::interrupt),
        make(28, Type::exception, true), make(0x80, Type::software)}) {
    GuestRun run(edited(doorbell_guest(), [event](svm::Vmcb& v) { v.eventinj = event; }));
    EXPECT_EQ(run.run().kind, vmm::OutcomeKind::entry_refused) << std::hex << event;
    EXPECT_TRUE(run.explained("only #HV may be injected")) << run.explanations();
    EXPECT_EQ(run.output(), "");
  }
}

TEST(HostileInjection, VirtualInterruptsAreNotTaken) {
  constexpr u64 queued = svm::vintr::v_irq | svm::vintr::prio | u64{0x41} << 32;
  GuestRun run(edited(doorbell_guest(), [](svm::Vmcb& v) { v.vintr |= queued; }));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed(doorbell_says)) << run.output();
}

// #HV at each entry, every few hundred instructions, with nothing in the page, from the first
// honest one on. (Before the guest has an interrupt table one #HV is enough to end it.)
TEST(HostileInjection, AFloodOfHvChangesNothing) {
  bool flooding = false;
  u64 entries = 0;
  GuestOptions options = edited(doorbell_guest(), [&](svm::Vmcb& v) {
    flooding = flooding || v.eventinj == ghcb::hv_event;
    v.eventinj = flooding ? ghcb::hv_event : 0;
    entries += flooding ? 1 : 0;
  });
  options.slice_ticks = 500;
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed(doorbell_says)) << run.output();
  EXPECT_GT(entries, 300u);
}

// What the host writes into the VMCB of a VMPL with alternate injection nobody reads.
TEST(HostileInjection, TheVmcbIsNotAlternateInjections) {
  u64 vmpl0 = 0;
  const auto edit = [&vmpl0](svm::Vmcb& v) {
    vmpl0 = vmpl0 == 0 ? v.vmsa_pointer : vmpl0;
    if (v.vmsa_pointer != vmpl0) {
      v.eventinj = svm::event::make(0x62, svm::event::Type::interrupt);
      v.vintr |= svm::vintr::v_irq | svm::vintr::prio | u64{0x62} << 32;
    }
  };
  GuestRun run(edited(alternate_guest(), edit));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  EXPECT_TRUE(run.printed("  VMPL2 took 8 of ")) << run.output();
}

}  // namespace
}  // namespace softsnp::end_to_end

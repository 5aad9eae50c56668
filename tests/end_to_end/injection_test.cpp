// Restricted and alternate injection from the command line to the guest.
#include <gtest/gtest.h>

#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

// Linux 6.12 knows neither mode: its decompressor says so before it does anything else.
TEST(Injection, LinuxTerminatesByName) {
  LinuxGuest linux_guest;
  if (!linux_guest.is_there()) {
    GTEST_SKIP() << "no kernel";
  }
  GuestOptions options = linux_guest.options(image::Mode::snp);
  options.injection = snp::InjectionMode::restricted;
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::terminated);
  EXPECT_EQ(run.outcome().text,
            "the guest asked for termination: reason set 0 (GHCB specification), code 2: SNP "
            "features not sufficient; EXITINFO2 0x20 (SEV_STATUS: RestrictedInjection)");
  EXPECT_TRUE(run.output().empty()) << run.output();
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

}  // namespace
}  // namespace softsnp::end_to_end

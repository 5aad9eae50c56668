// The built-in guest's tour, as the README promises it.
#include <gtest/gtest.h>

#include "tests/end_to_end/guest_run.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

// Each text must come after the one before it.
void expect_in_order(const std::string& output, std::initializer_list<const char*> texts) {
  usize at = 0;
  for (const char* text : texts) {
    const auto found = output.find(text, at);
    ASSERT_NE(found, std::string::npos) << "missing, or out of order: " << text << "\nin:\n"
                                        << output;
    at = found + std::string_view(text).size();
  }
}

TEST(SampleGuest, TourUnderSnp) {
  GuestRun run({});
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  expect_in_order(run.output(), {
                                    "softsnp sample guest: SEV_STATUS 0x7\n",
                                    "hypervisor features 0x",
                                    "4 KiB page, private to shared and back:\n",
                                    "read as shared: no fault, value 0x",
                                    "after a write as shared: no fault, value 0xbeef\n",
                                    "read as private again: no fault, value 0x",
                                    "2 MiB page, private to shared and back:\n",
                                    "PVALIDATE 2M rescind: EAX 0 CF 0\n",
                                    "page state change: 0x0\n",
                                    "read as shared: no fault, value 0x",
                                    "page state change: 0x0\n",
                                    "PVALIDATE 2M: EAX 0 CF 0\n",
                                    "what must not work:\n",
                                    "read of the rescinded page: vector 29 error 0x404",
                                    "write to the rescinded page: vector 29 error 0x404",
                                    "PVALIDATE of a validated page: EAX 0 CF 1\n",
                                    "RMPUPDATE in a guest: EAX 2\n",
                                    "RMPADJUST VMPL1 read: EAX 0\n",
                                    "RMPADJUST own level: EAX 2\n",
                                    "RMPADJUST level 9: EAX 1\n",
                                    "done\n",
                                });
  // What was private must not be readable as shared, and a shared value not as private.
  EXPECT_FALSE(run.printed("read as shared: no fault, value 0xc0ffee"));
  EXPECT_FALSE(run.printed("read as private again: no fault, value 0xbeef"));
}

// The seam of machine/memory/dram/bus_layer.hpp: every access goes through it, by copies.
TEST(SampleGuest, ABusLayerThatDoesNothingChangesNothing) {
  class Wire final : public memory::BusLayer {
   public:
    SystemPhysical route(SystemPhysical page) const override { return page; }
    void before_read(SystemPhysical, memory::KeyId, u64) override { ++reads; }
    u64 reads = 0;
  };
  Wire wire;
  GuestOptions options;
  options.bus_layer = &wire;
  GuestRun direct({}), layered(options);
  EXPECT_EQ(layered.run().kind, vmm::OutcomeKind::powered_off) << layered.outcome().text;
  direct.run();
  EXPECT_EQ(layered.output(), direct.output());
  EXPECT_EQ(layered.dram_digest(), direct.dram_digest());
  EXPECT_GT(wire.reads, 1000u);
}

TEST(SampleGuest, PlainModeHasNothingToConvert) {
  GuestOptions options;
  options.mode = image::Mode::plain;
  GuestRun run(std::move(options));
  EXPECT_EQ(run.run().kind, vmm::OutcomeKind::powered_off) << run.outcome().text;
  expect_in_order(run.output(), {"softsnp sample guest: SEV_STATUS 0x0\n",
                                 "not an SNP guest: nothing to convert\n"});
  EXPECT_TRUE(run.launch_digest().empty());
}

TEST(SampleGuest, ProgramAloneRunsIt) {
  const ProgramResult result = run_program({"run"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("done"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("SEV-SNP guest"), std::string::npos) << result.err;
}

TEST(SampleGuest, RandomConversionsKeepContents) {
  for (const char* seed : {"0", "5", "6"}) {
    const ProgramResult result = run_program(
        {"run", "--memory", "32M", "--seed", seed, "--append", "case=random-conversions"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.out.find("lost their content: 0\r\n"), std::string::npos) << result.out;
  }
}

// The guest converts pages both ways; at its end the host's direct map is as it was.
TEST(SampleGuest, RunsUnderEachPolicyOfTheDirectMap) {
  for (const char* policy :
       {"split-on-assign", "split-on-small-assign", "split-on-fault", "unmap-on-assign"}) {
    const TemporaryFile stats("");
    const ProgramResult result =
        run_program({"run", "--host-direct-map", policy, "--stats", stats.path()});
    EXPECT_EQ(result.status, 0) << policy << result.err;
    EXPECT_EQ(result.err.find("leaked"), std::string::npos) << result.err;
    const std::string text = contents_of(stats.path());
    EXPECT_NE(text.find("\"assigned_pages\": 0"), std::string::npos) << text;
    EXPECT_NE(text.find("\"unmapped_pages\": 0"), std::string::npos) << text;
    EXPECT_NE(text.find("\"4k\": 0"), std::string::npos) << text;
  }
}

TEST(SampleGuest, ProgramReportsTermination) {
  const ProgramResult result = run_program({"run", "--append", "case=terminate"});
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("PVALIDATE failed"), std::string::npos) << result.err;
}

TEST(SampleGuest, ProgramWritesTraceAndStatistics) {
  const TemporaryFile trace("");
  const TemporaryFile stats("");
  const ProgramResult result =
      run_program({"run", "--trace", trace.path(), "--stats", stats.path()});
  EXPECT_EQ(result.status, 0) << result.err;
  const std::string events = contents_of(trace.path());
  for (const char* event : {"\"event\":\"psp\"", "\"event\":\"rmp\"", "\"event\":\"vmgexit\"",
                            "\"event\":\"page-state\"", "\"event\":\"pvalidate\"",
                            "\"event\":\"rmpadjust\"", "\"event\":\"vc\"", "\"event\":\"npf\""}) {
    EXPECT_NE(events.find(event), std::string::npos) << event;
  }
  EXPECT_EQ(contents_of(stats.path()).substr(0, 1), "{");
}

}  // namespace
}  // namespace softsnp::end_to_end

// guest/samples/small: each feature of the guest runtime in a guest of its own, run by the program
// as a user would; then under a hypervisor that lies at random.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "arch/ghcb/events.hpp"
#include "arch/ghcb/msr_protocol.hpp"
#include "arch/ghcb/termination.hpp"
#include "arch/psp/attestation_report.hpp"
#include "lab/random_liar.hpp"
#include "tests/end_to_end/guest_run.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

std::string sample_path(const std::string& name) {
  return std::string(SOFTSNP_SMALL_SAMPLES) + "/" + name + ".elf";
}

ProgramResult run_sample(const std::string& name, const std::string& append = {},
                         const std::vector<std::string>& options = {}) {
  std::vector<std::string> arguments = {"run", "--memory", "128M", "--kernel", sample_path(name)};
  arguments.insert(arguments.end(), options.begin(), options.end());
  if (!append.empty()) {
    arguments.insert(arguments.end(), {"--append", append});
  }
  return run_program(arguments);
}

void expect_done(const ProgramResult& result) {
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.out.find("sample done") != std::string::npos) << result.out << result.err;
  EXPECT_TRUE(result.out.find("WRONG") == std::string::npos) << result.out;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class SmallSample : public testing::TestWithParam<const char*> {};

TEST_P(SmallSample, DoesWhatItShows) {
  expect_done(run_sample(GetParam()));
}

// The same guests at VMPL2: pages are validated by call, messages use the third key.
TEST_P(SmallSample, DoesItUnderAnSvsm) {
  const ProgramResult result = run_sample(GetParam(), {}, {"--svsm"});
  expect_done(result);
  EXPECT_TRUE(has(result.out, "sample at VMPL 2")) << result.out;
}
INSTANTIATE_TEST_SUITE_P(All, SmallSample,
                         testing::Values("console", "cpuid", "memory", "lazy", "messages",
                                         "instructions", "svsm"),
                         [](const auto& info) { return std::string(info.param); });

TEST(SmallSamples, StartsAnotherVcpu) {
  const ProgramResult result = run_sample("ap", {}, {"--smp", "2"});
  expect_done(result);
  EXPECT_TRUE(has(result.out, "ok the second vCPU has counted")) << result.out;
  // There is no vCPU with this APIC id.
  const ProgramResult alone = run_sample("ap");
  EXPECT_EQ(alone.status, 3) << alone.out;
  EXPECT_TRUE(has(alone.err, "application processor not started")) << alone.err;
}

TEST(SmallSamples, DoorbellsRingBetweenTwoVcpus) {
  const ProgramResult result =
      run_sample("doorbell", {}, {"--injection", "restricted", "--smp", "2"});
  expect_done(result);
  EXPECT_TRUE(has(result.out, "ok each throw was caught, and the NMI")) << result.out;
  // Without the injection mode there is no doorbell.
  const ProgramResult normal = run_sample("doorbell", {}, {"--smp", "2"});
  EXPECT_EQ(normal.status, 3) << normal.out;
  EXPECT_TRUE(has(normal.err, "hypervisor reported an error")) << normal.err;
}

// The report is the firmware's answer to the question asked.
TEST(SmallSamples, ReportHasTheDataAskedFor) {
  const ProgramResult result = run_sample("messages");
  const auto at = result.out.find("report: ");
  ASSERT_NE(at, std::string::npos) << result.out;
  std::vector<u8> bytes;
  for (usize i = at + 8; i + 1 < result.out.size() && std::isxdigit(result.out[i]) != 0; i += 2) {
    bytes.push_back(static_cast<u8>(std::stoi(result.out.substr(i, 2), nullptr, 16)));
  }
  psp::AttestationReport report;
  ASSERT_EQ(bytes.size(), sizeof report);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<u8*>(&report));
  for (u8 i = 0; i < 64; ++i) {
    EXPECT_EQ(report.report_data[i], i);
  }
}

TEST(SmallSamples, EndsWithTheNameOfItsCause) {
  ProgramResult result = run_sample("terminate", "cause=10");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_TRUE(has(result.out, "ending for: PVALIDATE failed")) << result.out;
  EXPECT_TRUE(has(result.err, "PVALIDATE failed")) << result.err;
  result = run_sample("terminate", "cause=12");
  EXPECT_TRUE(has(result.err, "private page is not validated")) << result.err;
  result = run_sample("lazy", "touch=1");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_TRUE(has(result.err, "private page is not validated")) << result.err;
}

// --- under a liar ---

struct Lies {
  const char* name;
  const char* sample;
  std::vector<ghcb::Event> events;
  std::vector<ghcb::MsrCode> codes;
  snp::InjectionMode injection = snp::InjectionMode::normal;
  unsigned vcpus = 1;
};

const Lies all_lies[] = {
    {"page_states", "memory", {ghcb::Event::page_state_change}, {}},
    {"early_page_states",
     "memory",
     {},
     {ghcb::MsrCode::page_state_change, ghcb::MsrCode::register_ghcb, ghcb::MsrCode::features,
      ghcb::MsrCode::sev_information}},
    {"acceptance", "lazy", {ghcb::Event::page_state_change}, {}},
    {"cpuid", "cpuid", {ghcb::Event::cpuid}, {}},
    {"instructions",
     "instructions",
     {ghcb::Event::msr, ghcb::Event::wbinvd, ghcb::Event::vmmcall, ghcb::Event::dr7_write,
      ghcb::Event::mmio_read, ghcb::Event::mmio_write, ghcb::Event::rdtsc, ghcb::Event::rdtscp},
     {}},
    {"messages", "messages", {ghcb::Event::guest_request, ghcb::Event::extended_guest_request}, {}},
    {"ports", "console", {ghcb::Event::ioio}, {}},
    {"doorbells",
     "doorbell",
     {ghcb::Event::hv_doorbell_page, ghcb::Event::hv_ipi, ghcb::Event::ap_creation},
     {},
     snp::InjectionMode::restricted,
     2},
};

class Liar : public testing::TestWithParam<Lies> {};

std::vector<u8> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Each run ends with every check of the sample passed, or with a named termination.
TEST_P(Liar, NothingIsAcceptedSilently) {
  const Lies& lies = GetParam();
  const std::vector<u8> kernel = read_file(sample_path(lies.sample));
  unsigned asked = 0, lied = 0, ended = 0;
  for (u64 seed = 0; seed < 12; ++seed) {
    GuestOptions options;
    options.kernel = {lies.sample, kernel};
    options.memory = u64{64} << 20;
    options.injection = lies.injection;
    options.vcpus = lies.vcpus;
    options.unobserved = true;
    options.host = [&](machine::HostPort& port) {
      return std::make_unique<lab::RandomLiar>(
          port, seed, 4,
          lab::RandomLiar::About{
              [&](const ghcb::Ghcb& request) {
                return std::any_of(lies.events.begin(), lies.events.end(), [&](auto event) {
                  return number(event) == request.sw_exitcode;
                });
              },
              [&](u64 request) {
                return std::any_of(lies.codes.begin(), lies.codes.end(), [&](auto code) {
                  return number(code) == (request & page_offset_mask);
                });
              }});
    };
    GuestRun run(std::move(options));
    const vmm::RunOutcome& outcome = run.run();
    const auto& liar = *static_cast<lab::RandomLiar*>(run.hostile());
    asked += liar.asked();
    lied += liar.lies();
    if (outcome.kind == vmm::OutcomeKind::powered_off) {
      EXPECT_TRUE(run.printed("sample done")) << seed << run.output();
      EXPECT_FALSE(run.printed("WRONG")) << seed << run.output();
    } else {
      ++ended;
      EXPECT_EQ(outcome.kind, vmm::OutcomeKind::terminated)
          << seed << ": " << outcome.text << run.output();
      EXPECT_FALSE(has(outcome.text, "unknown")) << outcome.text;
    }
  }
  EXPECT_GT(lied, 0u) << asked;
  EXPECT_GT(ended, 0u);
}
INSTANTIATE_TEST_SUITE_P(About, Liar, testing::ValuesIn(all_lies),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace softsnp::end_to_end

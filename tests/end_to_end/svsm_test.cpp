// Guests at VMPL2 under the SVSM: small ones that try it, and Debian's kernel. SVSM sheet 9.
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <cstring>
#include <fstream>

#include "arch/psp/guest_message.hpp"
#include "arch/svsm/attestation.hpp"
#include "tests/end_to_end/guest_lines.hpp"
#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

using vmm::OutcomeKind;

TEST(Svsm, ConformsInTheMachine) {
  GuestRun guest(svsm_case());
  EXPECT_EQ(guest.run().kind, OutcomeKind::powered_off) << guest.outcome().text;
  EXPECT_TRUE(guest.printed("softsnp SVSM: 2 vCPU(s)")) << guest.output();
  EXPECT_TRUE(guest.printed("at VMPL2\n")) << guest.output();
  EXPECT_TRUE(guest.printed("SVSM conformance: 236 judged, 0 failed")) << guest.output();
}

TEST(Svsm, ConformsUnderRestrictedInjection) {
  GuestOptions options = svsm_case();
  options.injection = snp::InjectionMode::restricted;
  GuestRun guest(options);
  EXPECT_EQ(guest.run().kind, OutcomeKind::powered_off) << guest.outcome().text;
  EXPECT_TRUE(guest.printed("SVSM conformance: 236 judged, 0 failed")) << guest.output();
}

TEST(Svsm, RunsRepeat) {
  GuestRun first(svsm_case()), second(svsm_case());
  first.run();
  second.run();
  EXPECT_EQ(first.output(), second.output());
  EXPECT_EQ(first.dram_digest(), second.dram_digest());
}

// Nothing resolves a VMPL fault: the run ends and says what was in the way.
void expect_closed(const char* name, const char* who) {
  GuestRun guest(svsm_case(name));
  EXPECT_EQ(guest.run().kind, OutcomeKind::no_progress) << guest.outcome().text;
  EXPECT_NE(guest.outcome().text.find("VMPL permission denied"), std::string::npos);
  EXPECT_TRUE(guest.explained(who)) << guest.explanations();
}

TEST(Svsm, ItsMemoryIsClosed) {
  expect_closed("read-svsm", "VMPL2) read");
}
TEST(Svsm, AVmsaIsClosed) {
  expect_closed("write-vmsa", "VMPL2) write");
}

TEST(Svsm, PvalidateIsVmpl0sAlone) {
  GuestRun guest(svsm_case("own-pvalidate"));
  EXPECT_EQ(guest.run().kind, OutcomeKind::powered_off) << guest.outcome().text;
  EXPECT_TRUE(guest.printed("PVALIDATE faults")) << guest.output();
}

TEST(Svsm, NeedsRoomAndSnp) {
  GuestOptions small = svsm_case();
  small.memory = u64{4} << 20;
  GuestRun no_room(small);
  EXPECT_EQ(no_room.run().kind, OutcomeKind::bad_input);
  GuestOptions plain = svsm_case();
  plain.mode = image::Mode::plain;
  GuestRun no_snp(plain);
  EXPECT_EQ(no_snp.run().kind, OutcomeKind::bad_input);
}

// One boot for all.
class SvsmLinux : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    LinuxGuest guest;
    if (!guest.is_there()) {
      return;
    }
    const TemporaryFile initrd(guest.initrd_with_tools());
    const TemporaryFile trace("");
    const std::vector<std::string> files = {
        "--kernel", guest_file("vmlinuz-6.12"),
        "--initrd", initrd.path(),
        "--append", LinuxGuest::append_for("svsm.sh") + nonce_word()};
    boot = run_with(files,
                    {"run", "--svsm", "--smp", "2", "--timeout", "250", "--trace", trace.path()});
    measured = run_with(files, {"measure", "--svsm-boot", "--vcpus", "2"}).out;
    std::erase(boot.out, '\r');
    read_trace(trace.path());
  }
  void SetUp() override {
    ASSERT_FALSE(boot.out.empty()) << "run scripts/fetch_kernels.sh and make_initramfs.sh";
    ASSERT_EQ(boot.status, 0) << boot.err;
  }

  static ProgramResult run_with(const std::vector<std::string>& files,
                                std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), files.begin(), files.end());
    return run_program(arguments);
  }
  static std::string nonce_word() { return " softsnp.nonce=" + std::string(128, 'a'); }
  static std::vector<u8> nonce() { return std::vector<u8>(64, 0xAA); }

  // Who executed PVALIDATE, and what asked for new vCPUs.
  static void read_trace(const std::string& path) {
    std::ifstream lines(path);
    const auto has = [](const std::string& line, const char* text) {
      return line.find(text) != std::string::npos;
    };
    for (std::string line; std::getline(lines, line);) {
      if (has(line, R"("by":"PVALIDATE")")) {
        ++(has(line, R"("vmpl":0,)") ? validated_at_vmpl0 : validated_elsewhere);
      }
      if (has(line, R"("code":"0x80000013")")) {
        ++(has(line, R"("vmpl":2,)") ? created_at_vmpl2 : created_elsewhere);
      }
    }
  }
  static bool logged(const char* text) { return boot.out.find(text) != std::string::npos; }

  static psp::AttestationReport report_of(const GuestCall& call) {
    psp::AttestationReport report{};
    const std::vector<u8> bytes = call.bytes("outblob");
    EXPECT_EQ(bytes.size(), sizeof report);
    std::copy_n(bytes.begin(), std::min(bytes.size(), sizeof report),
                reinterpret_cast<u8*>(&report));
    return report;
  }

  static inline ProgramResult boot;
  static inline std::string measured;
  static inline unsigned validated_at_vmpl0 = 0, validated_elsewhere = 0;
  static inline unsigned created_at_vmpl2 = 0, created_elsewhere = 0;
};

TEST_F(SvsmLinux, RunsAtVmpl2) {
  EXPECT_TRUE(logged("softsnp SVSM: 2 vCPU(s)"));
  EXPECT_TRUE(logged("SEV: SNP running at VMPL2."));
  EXPECT_TRUE(logged("svsm vmpl=2\n"));
  EXPECT_TRUE(logged("smp: Brought up 1 node, 2 CPUs"));
  EXPECT_TRUE(logged("using VMPCK2 communication key"));
  for (const char* splat : {"WARNING:", "BUG:", "Oops", "Call Trace"}) {
    EXPECT_FALSE(logged(splat)) << splat;
  }
}

TEST_F(SvsmLinux, PagesAndVcpusGoThroughTheSvsm) {
  EXPECT_GT(validated_at_vmpl0, 1000u);
  EXPECT_EQ(validated_elsewhere, 0u);
  // The SVSM's own vCPU and the guest's first; then Linux, after CREATE_VCPU.
  EXPECT_EQ(created_elsewhere, 2u);
  EXPECT_EQ(created_at_vmpl2, 1u);
}

TEST_F(SvsmLinux, AttestsItsServices) {
  const GuestLines lines(boot.out);
  ASSERT_TRUE(lines.complete());
  for (const char* label : {"services", "again"}) {
    const GuestCall& call = lines.tsm(label);
    const psp::AttestationReport report = report_of(call);
    EXPECT_EQ(report.vmpl, 0u);
    const std::vector<u8> manifest = call.bytes("manifestblob");
    ASSERT_GE(manifest.size(), sizeof(svsm::ServicesManifestHeader));
    svsm::ServicesManifestHeader header;
    std::memcpy(&header, manifest.data(), sizeof header);
    EXPECT_EQ(header.guid, svsm::services_manifest_guid);
    EXPECT_EQ(header.size, manifest.size());
    std::vector<u8> bound = nonce();
    bound.insert(bound.end(), manifest.begin(), manifest.end());
    u8 sum[64];
    SHA512(bound.data(), bound.size(), sum);
    EXPECT_EQ(std::memcmp(report.report_data, sum, sizeof sum), 0);
    std::string digest;
    for (const u8 byte : report.measurement.bytes) {
      digest += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    }
    EXPECT_EQ(digest + "\n", measured);
    EXPECT_NE(boot.err.find("digest " + digest), std::string::npos) << boot.err;
  }
}

TEST_F(SvsmLinux, NobodyForgesVmpl0) {
  const GuestLines lines(boot.out);
  const auto invalid = static_cast<u32>(psp::MessageStatus::invalid_parameters);
  for (const char* label : {"vmpl0", "vmpl1"}) {
    EXPECT_EQ(lines.call(label).status(), invalid) << lines.call(label).text();
  }
  for (const u32 level : {2u, 3u}) {
    const auto report = lines.call("vmpl" + std::to_string(level)).report();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->vmpl, level);
  }
  EXPECT_EQ(report_of(lines.tsm("own")).vmpl, 2u);
  EXPECT_EQ(lines.tsm("own").values.at("privlevel_floor"), "2");
}

}  // namespace
}  // namespace softsnp::end_to_end

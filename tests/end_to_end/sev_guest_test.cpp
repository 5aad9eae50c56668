// Debian's unmodified sev-guest driver under an honest host: reports, derived keys, certificates,
// configfs-tsm, the choice of VMPCK. What it must do is in Linux 6.12,
// drivers/virt/coco/sev-guest/sev-guest.c and drivers/virt/coco/tsm.c; firmware sheet 4, GHCB 3.6.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "arch/psp/guest_message.hpp"
#include "base/bytes.hpp"
#include "lab/lying_messenger.hpp"
#include "machine/psp/chip.hpp"
#include "machine/psp/endorsement_key.hpp"
#include "machine/psp/id_block.hpp"
#include "machine/psp/p384.hpp"
#include "tests/end_to_end/guest_lines.hpp"
#include "tests/end_to_end/linux_guest.hpp"
#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

constexpr u64 seed = 0x5EED;
constexpr u16 sign_port = 0x99;
constexpr u64 invalid_length = 0x1'0000'0000;

// A table as GHCB sheet 3.6 has it; two pages together.
std::vector<u8> certificate_table() {
  constexpr usize entry_bytes = 24, entries = 3;
  constexpr usize lengths[] = {1500, 2000, 1700};
  std::vector<u8> table(entry_bytes * (entries + 1));
  for (usize i = 0; i < entries; ++i) {
    u8* const entry = table.data() + i * entry_bytes;
    std::fill_n(entry, 16, static_cast<u8>(0x63 + i));
    store_le(entry + 16, static_cast<u32>(table.size()));
    store_le(entry + 20, static_cast<u32>(lengths[i]));
    for (usize n = 0; n < lengths[i]; ++n) {
      table.push_back(static_cast<u8>(n * 7 + i + 1));
    }
  }
  return table;
}

std::vector<u8> padded(std::vector<u8> bytes, usize size) {
  bytes.resize(size);
  return bytes;
}

std::vector<u8> nonce() {
  return std::vector<u8>(64, 0xA7);
}

std::vector<u8> report_data(const psp::AttestationReport& report) {
  return {std::begin(report.report_data), std::end(report.report_data)};
}

std::string hexadecimal(std::span<const u8> bytes) {
  std::string text;
  for (const u8 byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// By the key that this machine's chip derives; the firmware is not asked.
bool signed_by_the_chip(const psp::AttestationReport& report) {
  psp::PspConfig config;
  config.seed = seed;
  const psp::Chip chip = psp::make_chip(config);
  const psp::EndorsementKey vcek = psp::derive_vcek(chip.secret, config.tcb, config.product);
  return psp::verify_signature(
      psp::P384().public_key(vcek.private_key), report.signature,
      {reinterpret_cast<const u8*>(&report), psp::AttestationReport::signed_bytes});
}

// One boot for all of the tests below.
class SevGuest : public testing::Test {
 protected:
  struct Shared {
    LinuxGuest guest;
    std::unique_ptr<GuestRun> run;
    std::unique_ptr<GuestLines> lines;
    lab::LyingMessenger::Past exchanges;
  };

  static void SetUpTestSuite() {
    shared_ = std::make_unique<Shared>();
    if (!shared_->guest.is_there()) {
      return;
    }
    GuestOptions options = shared_->guest.options_for("honest.sh");
    options.seed = seed;
    options.certificates = certificate_table();
    // Tells no lies: it keeps what went by.
    options.host = [](machine::HostPort& port) {
      return std::make_unique<lab::LyingMessenger>(port, sign_port,
                                                   std::vector<lab::LyingMessenger::Lie>{});
    };
    shared_->run = std::make_unique<GuestRun>(std::move(options));
    shared_->run->run();
    shared_->lines = std::make_unique<GuestLines>(shared_->run->output());
    shared_->exchanges = static_cast<lab::LyingMessenger&>(*shared_->run->hostile()).exchanges();
  }
  static void TearDownTestSuite() { shared_.reset(); }

  void SetUp() override {
    ASSERT_TRUE(shared_->guest.is_there())
        << "run scripts/fetch_kernels.sh and scripts/make_initramfs.sh";
    ASSERT_TRUE(lines().complete()) << shared_->run->outcome().text << "\n" << console_end();
  }

  static const GuestLines& lines() { return *shared_->lines; }
  static const GuestCall& call(const std::string& label) { return lines().call(label); }
  static std::string console_end() {
    const std::string& all = shared_->run->output();
    return all.substr(all.size() - std::min<usize>(all.size(), 3000));
  }
  static std::vector<u8> key(const std::string& label) {
    const std::vector<u8> response = call(label).bytes("response");
    return response.size() == sizeof(psp::KeyResponse)
               ? std::vector<u8>(response.begin() + 0x20, response.end())
               : std::vector<u8>();
  }
  static void expect_refused(const std::string& label, int error, u64 exit_info2) {
    EXPECT_EQ(call(label).result, -1) << label;
    EXPECT_EQ(call(label).error, error) << label;
    EXPECT_EQ(call(label).exit_info2, exit_info2) << label;
  }
  static void expect_status(const std::string& label, psp::MessageStatus status) {
    EXPECT_EQ(call(label).result, 0) << label;
    EXPECT_EQ(call(label).status(), static_cast<u32>(status)) << label;
  }

  static std::unique_ptr<Shared> shared_;
};
std::unique_ptr<SevGuest::Shared> SevGuest::shared_;

TEST_F(SevGuest, ReportIsBoundToTheNonceAndTheLaunch) {
  for (u32 vmpl = 0; vmpl < 4; ++vmpl) {
    const auto report = call("report-vmpl" + std::to_string(vmpl)).report();
    ASSERT_TRUE(report) << vmpl;
    EXPECT_EQ(report->version, 3u);
    EXPECT_EQ(report->vmpl, vmpl);
    EXPECT_EQ(report_data(*report), nonce());
    EXPECT_EQ(hexadecimal(report->measurement.bytes), shared_->run->launch_digest());
    EXPECT_EQ(u64{report->policy}, 0x30000u);
    EXPECT_TRUE(signed_by_the_chip(*report));
    psp::AttestationReport altered = *report;
    altered.report_data[0] ^= 1;
    EXPECT_FALSE(signed_by_the_chip(altered));
  }
}

TEST_F(SevGuest, ReportKeySelection) {
  expect_status("report-vcek", psp::MessageStatus::success);
  expect_status("report-vlek", psp::MessageStatus::invalid_key_selection);  // none is loaded
  expect_status("report-reserved-key", psp::MessageStatus::invalid_key_selection);
  expect_refused("report-version0", EINVAL, 0);
  expect_refused("unknown", ENOTTY, 0xFF);
}

TEST_F(SevGuest, DerivedKeysDependOnWhatIsSelected) {
  EXPECT_EQ(key("key-again"), key("key-none"));
  EXPECT_EQ(key("key-svn-unselected"), key("key-none"));
  const std::vector<std::string> different = {
      "key-none",  "key-field0", "key-field1", "key-field2", "key-field3", "key-field4",
      "key-vmpl2", "key-vmrk",   "key-tcb",    "vmpck1-key", "vmpck3-key"};
  std::set<std::vector<u8>> keys;
  for (const std::string& label : different) {
    EXPECT_EQ(key(label).size(), 32u) << label << ": " << call(label).text();
    EXPECT_TRUE(keys.insert(key(label)).second) << label << " is the same as another";
  }
  EXPECT_EQ(key("vmpck2-key"), key("key-vmpl2")) << "the VMPL is mixed in, not the VMPCK";
  // No ID block, so the guest's SVN is 0; no TCB is above the committed one; bit 15 is no field.
  for (const char* label : {"key-svn7", "key-tcb-too-new", "key-unknown-field"}) {
    expect_status(label, psp::MessageStatus::invalid_parameters);
  }
}

TEST_F(SevGuest, CertificatesNeedEnoughRoom) {
  for (const char* label : {"ext-0", "ext-4096"}) {
    expect_refused(label, EIO, invalid_length);
    EXPECT_EQ(call(label).values.at("certs_len"), "8192") << label;
  }
  for (const usize size : {8192u, 16384u}) {
    const GuestCall& done = call("ext-" + std::to_string(size));
    ASSERT_TRUE(done.report()) << done.text();
    EXPECT_EQ(report_data(*done.report()), nonce());
    EXPECT_TRUE(signed_by_the_chip(*done.report()));
    EXPECT_EQ(done.bytes("certs"), padded(certificate_table(), size));
  }
  expect_refused("ext-100", EINVAL, 0xFF);
  expect_refused("ext-20480", EINVAL, 0xFF);
}

TEST_F(SevGuest, ConfigfsTsm) {
  const GuestCall& tsm = lines().tsm("a");
  EXPECT_EQ(tsm.values.at("provider"), "sev_guest");
  EXPECT_EQ(tsm.values.at("generation"), "1");
  EXPECT_EQ(tsm.values.at("privlevel_floor"), "0");
  EXPECT_EQ(tsm.bytes("auxblob"), certificate_table());
  const std::vector<u8> outblob = tsm.bytes("outblob");
  ASSERT_EQ(outblob.size(), sizeof(psp::AttestationReport));
  const auto report = load_le<psp::AttestationReport>(outblob.data());
  EXPECT_EQ(report_data(report), nonce());
  EXPECT_TRUE(signed_by_the_chip(report));

  EXPECT_TRUE(shared_->run->printed("tsm2 generation=2 outblob=03000000"));
  EXPECT_TRUE(shared_->run->printed("tsm-short cat: read error: Invalid argument"))
      << "63 bytes are no REPORT_DATA";
}

TEST_F(SevGuest, EachVmpckWorks) {
  EXPECT_TRUE(call("reloaded").report()) << call("reloaded").text();
  for (u32 key = 1; key < 4; ++key) {
    const std::string name = "vmpck" + std::to_string(key);
    const auto report = call(name + "-report").report();
    ASSERT_TRUE(report) << call(name + "-report").text();
    EXPECT_EQ(report->vmpl, key);
    expect_status(name + "-more-privilege", psp::MessageStatus::invalid_parameters);
    EXPECT_EQ(lines().tsm(name).values.at("privlevel_floor"), std::to_string(key));
  }
  const std::string log = lines().log("loads");
  EXPECT_NE(log.find("using VMPCK3 communication key"), std::string::npos) << log;
  EXPECT_NE(log.find("Invalid VMPCK4 communication key"), std::string::npos) << log;
}

TEST_F(SevGuest, SequenceNumbersGoOnForEachVmpck) {
  u64 next[4] = {1, 1, 1, 1};
  for (const auto& exchange : shared_->exchanges) {
    const auto asked = load_le<psp::GuestMessageHeader>(exchange.request.data());
    ASSERT_LT(asked.message_vmpck, 4);
    EXPECT_EQ(u64{asked.sequence_number}, next[asked.message_vmpck]);
    if (exchange.status == 0) {
      next[asked.message_vmpck] += 2;
      const auto answered = load_le<psp::GuestMessageHeader>(exchange.response.data());
      EXPECT_EQ(u64{answered.sequence_number}, u64{asked.sequence_number} + 1);
    }
  }
  EXPECT_EQ(next[0] + next[1] + next[2] + next[3], 4 + 2 * shared_->exchanges.size() - 2)
      << "two for each message but the refused one";
}

TEST_F(SevGuest, ARefusedMessageCostsTheKey) {
  expect_refused("report-version2", EIO, psp::number(psp::Status::invalid_param));
  expect_refused("after-version2", ENOTTY, 0);
  const std::string log = lines().log("version2");
  for (const char* text :
       {"Detected error from ASP request. rc: -5, exitinfo2: 0x16",
        "Disabling VMPCK0 communication key to prevent IV reuse.", "VMPCK is disabled"}) {
    EXPECT_NE(log.find(text), std::string::npos) << text << "\n" << log;
  }
  EXPECT_NE(lines().log("wiped").find("Empty VMPCK0 communication key"), std::string::npos)
      << lines().log("wiped");
}

// The program runs the same guest: keys and reports are the same to the byte for the same seed.
TEST_F(SevGuest, TheProgramGivesTheSameAnswers) {
  const TemporaryFile initrd(shared_->guest.initrd_with_tools());
  const ProgramResult result =
      run_program({"run", "--kernel", guest_file("vmlinuz-6.12"), "--initrd", initrd.path(),
                   "--memory", "512M", "--append", LinuxGuest::append_for("honest.sh"), "--seed",
                   std::to_string(seed), "--timeout", "200"});
  EXPECT_EQ(result.status, 0) << result.err;
  std::string console = result.out;
  std::erase(console, '\r');
  const GuestLines other(console);
  ASSERT_TRUE(other.complete());
  usize compared = 0;
  for (const auto& [label, mine] : lines().calls()) {
    if (label.starts_with("ext-")) {
      continue;  // without certificates
    }
    EXPECT_EQ(other.call(label).values, mine.values) << label;
    ++compared;
  }
  EXPECT_GT(compared, 30u);
  EXPECT_TRUE(other.call("ext-0").ok());
  EXPECT_EQ(other.call("ext-4096").bytes("certs"), std::vector<u8>(4096)) << "an empty table";
  EXPECT_TRUE(other.tsm("a").bytes("auxblob").empty());
}

// The driver of kernel 6.1, which Debian builds for its generic flavour alone.
TEST(SevGuest61, ReportsKeysCertificatesAndVmpcks) {
  LinuxGuest guest("6.1-generic");
  ASSERT_TRUE(guest.is_there())
      << "run scripts/fetch_kernels.sh --tests and scripts/make_initramfs.sh";
  GuestOptions options = guest.options_for("basic.sh");
  options.seed = seed;
  options.certificates = certificate_table();
  GuestRun run(std::move(options));
  run.run();
  const GuestLines lines(run.output());
  ASSERT_TRUE(lines.complete()) << run.outcome().text;
  for (const auto& [label, vmpl] : {std::pair("report", 1u), {"ext", 0u}, {"vmpck2", 2u}}) {
    const auto report = lines.call(label).report();
    ASSERT_TRUE(report) << label << ": " << lines.call(label).text();
    EXPECT_EQ(report->vmpl, vmpl);
    EXPECT_EQ(report->report_data[0], 0xA7);
    EXPECT_EQ(hexadecimal(report->measurement.bytes), run.launch_digest());
    EXPECT_TRUE(signed_by_the_chip(*report));
  }
  EXPECT_EQ(lines.call("key").bytes("response").size(), sizeof(psp::KeyResponse));
  EXPECT_EQ(lines.call("key").status(), 0u);
  EXPECT_EQ(lines.call("short").exit_info2, invalid_length);
  EXPECT_EQ(lines.call("short").values.at("certs_len"), "8192");
  EXPECT_EQ(lines.call("ext").bytes("certs"), padded(certificate_table(), 8192));
  EXPECT_EQ(lines.call("version2").exit_info2, psp::number(psp::Status::invalid_param));
  EXPECT_EQ(lines.call("after").error, ENOTTY);
  EXPECT_NE(lines.log("all").find("Disabling vmpck_id 2"), std::string::npos) << lines.log("all");
}

}  // namespace
}  // namespace softsnp::end_to_end

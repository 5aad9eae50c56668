// --conversions: the steps of a guest's page conversions, as the machine saw them.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/end_to_end/program.hpp"

namespace softsnp::end_to_end {
namespace {

// The steps of one conversion in a report: what stands behind the place, without its details.
std::vector<std::string> steps_of(const std::string& report, const std::string& conversion) {
  std::istringstream lines(report);
  std::string line;
  std::vector<std::string> steps;
  bool inside = false;
  while (std::getline(lines, line)) {
    if (line.compare(0, 2, "  ") != 0) {
      inside = line.rfind(conversion + "  ", 0) == 0 && line.find("(set_memory_") != line.npos;
      continue;
    }
    for (const char* kind : {"TLB flush:", "page table: C-bit", "page table:", "PVALIDATE: rescind",
                             "PVALIDATE: validate", "VMGEXIT:", "VMM:", "RMP: RMPUPDATE",
                             "RMP: PVALIDATE", "RMP: PSMASH", "nested fault:", "resumed:"}) {
      if (inside && line.find(kind) != line.npos) {
        steps.emplace_back(kind);
        break;
      }
    }
  }
  return steps;
}

// They appear in this order, others may lie between.
bool in_order(const std::vector<std::string>& steps, const std::vector<std::string>& wanted) {
  auto at = steps.begin();
  for (const std::string& kind : wanted) {
    at = std::find(at, steps.end(), kind);
    if (at == steps.end()) {
      return false;
    }
    ++at;
  }
  return true;
}

const std::vector<std::string> to_shared = {
    "PVALIDATE: rescind", "VMGEXIT:",          "VMM:",      "RMP: RMPUPDATE",
    "resumed:",           "page table: C-bit", "TLB flush:"};
const std::vector<std::string> to_private = {
    "page table: C-bit",  "TLB flush:",     "VMGEXIT:",      "VMM:",
    "resumed:",           "RMP: RMPUPDATE", "nested fault:", "RMP: PVALIDATE",
    "PVALIDATE: validate"};

TEST(Conversions, OfTheSampleGuest) {
  const ProgramResult result =
      run_program({"run", "--conversions", "list,shared:2,shared:3,private:1,private:2"});
  EXPECT_EQ(result.status, 0);
  for (const char* conversion : {"shared:2", "shared:3"}) {
    EXPECT_TRUE(in_order(steps_of(result.err, conversion), to_shared)) << result.err;
  }
  for (const char* conversion : {"private:1", "private:2"}) {
    EXPECT_TRUE(in_order(steps_of(result.err, conversion), to_private)) << result.err;
  }
  EXPECT_NE(result.err.find("shared:3  gPA 0x600000-0x800000, 512 pages"), std::string::npos);
}

TEST(Conversions, BadChoicesAreNamed) {
  for (const char* choice : {"", "shared", "shared:0", "private:x", "list,", "both:1"}) {
    const ProgramResult result = run_program({"run", "--conversions", choice});
    EXPECT_EQ(result.status, 2) << choice;
    EXPECT_NE(result.err.find("--conversions"), std::string::npos) << result.err;
  }
}

// set_memory_decrypted and set_memory_encrypted of the unmodified kernel: sev-guest's buffers,
// which the self-check has it give back.
TEST(Conversions, OfLinux) {
  std::string wanted = "list";
  for (int number = 1; number <= 20; ++number) {
    wanted += ",shared:" + std::to_string(number) + ",private:" + std::to_string(number);
  }
  const ProgramResult result = run_program(
      {"run", "--kernel", guest_file("vmlinuz-6.12"), "--initrd", guest_file("initrd.gz"),
       "--append", "console=ttyS0 panic=-1 nokaslr softsnp.selfcheck", "--conversions", wanted});
  EXPECT_EQ(result.status, 0) << result.err;
  int whole_shared = 0;
  int whole_private = 0;
  for (int number = 1; number <= 20; ++number) {
    const std::string text = std::to_string(number);
    whole_shared += in_order(steps_of(result.err, "shared:" + text), to_shared) ? 1 : 0;
    whole_private += in_order(steps_of(result.err, "private:" + text), to_private) ? 1 : 0;
  }
  EXPECT_GE(whole_shared, 8) << result.err;
  EXPECT_GE(whole_private, 3) << result.err;
}

}  // namespace
}  // namespace softsnp::end_to_end

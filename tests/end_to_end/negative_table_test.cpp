// Every negative case in one test, with a table of what was expected and what was seen.
#include "tests/end_to_end/negative_table.hpp"

#include <gtest/gtest.h>

namespace softsnp::end_to_end {

std::string line_with(const std::string& output, const std::string& text) {
  const auto at = output.find(text);
  if (at == std::string::npos) {
    return "(nothing)";
  }
  const auto before = output.rfind('\n', at);
  const auto first = output.find_first_not_of(' ', before == std::string::npos ? 0 : before + 1);
  return output.substr(first, output.find('\n', at) - first);
}

std::string ending(const GuestRun& run) {
  const std::string& text = run.outcome().text;
  return "status " + std::to_string(run.outcome().status) + ": " + text.substr(0, text.find('\n'));
}

namespace {

void perform(std::span<const Negative> cases, usize& failures) {
  for (const Negative& one : cases) {
    const Seen seen = one.run();
    std::printf("%-44s | %-62s | %s | %s\n", one.name, one.expected, seen.ok ? "ok " : "BAD",
                seen.text.c_str());
    std::fflush(stdout);
    failures += seen.ok ? 0 : 1;
    EXPECT_TRUE(seen.ok) << one.name << ": expected " << one.expected << ", seen " << seen.text;
  }
}

TEST(Negative, EveryCaseIsRefusedAsTheManualSays) {
  usize failures = 0;
  std::printf("%-44s | %-62s | ok? | seen\n", "case", "expected");
  perform(guest_misdeeds(), failures);
  perform(host_misdeeds(), failures);
  const usize all = guest_misdeeds().size() + host_misdeeds().size();
  std::printf("%zu of %zu negative cases as expected\n", all - failures, all);
}

}  // namespace
}  // namespace softsnp::end_to_end

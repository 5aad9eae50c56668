#include <gtest/gtest.h>

#include "cli/numbers.hpp"
#include "cli/options.hpp"

namespace softsnp::cli::test {
namespace {

Result<ReportOptions, ParseStop> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"softsnp", "report"});
  const auto command = parse_command_line(arguments);
  if (!command) {
    return Failure{command.error()};
  }
  return std::get<ReportOptions>(*command);
}

TEST(ReportOptions, Show) {
  const auto options = parse({"show", "--json", "f"});
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->verify);
  EXPECT_TRUE(options->json);
  EXPECT_EQ(options->file, "f");
}

TEST(ReportOptions, VerifyTakesSeveralFilesAndTheReportAnywhere) {
  for (const auto& order :
       {std::vector<const char*>{"verify", "f", "--chain", "a", "b", "c"},
        std::vector<const char*>{"verify", "--chain", "a", "b", "c", "--", "f"},
        std::vector<const char*>{"verify", "--chain", "a", "--chain", "b", "--chain", "c", "f"}}) {
    const auto options = parse(order);
    ASSERT_TRUE(options.ok()) << options.error().text;
    EXPECT_TRUE(options->verify);
    EXPECT_EQ(options->file, "f");
    EXPECT_EQ(options->chain, (std::vector<std::string>{"a", "b", "c"}));
  }
}

TEST(ReportOptions, Mistakes) {
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{}, "A subcommand is required (see softsnp report --help)"},
      {{"show"}, "file is required (see softsnp report show --help)"},
      {{"show", "f", "--policy", "p"}, "not expected"},
      {{"verify", "f"}, "--certs or --chain is missing (see softsnp report verify --help)"},
      {{"verify", "f", "--certs", "d", "--chain", "c"}, "excludes"},
      {{"verify", "f", "--certs", "d", "--id-auth", "a"}, "--id-block and --id-auth need"},
      {{"verify", "f", "--certs", "d", "--at", "x"}, "--at: expected"},
  };
  for (const auto& [arguments, text] : cases) {
    const auto options = parse(arguments);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_EQ(options.error().status, 2);
    EXPECT_NE(options.error().text.find(text), std::string::npos) << options.error().text;
  }
}

TEST(Times, SecondsDatesAndTimes) {
  EXPECT_EQ(parse_time("0"), 0);
  EXPECT_EQ(parse_time("1800000000"), 1'800'000'000);
  EXPECT_EQ(parse_time("1970-01-02"), 86400);
  EXPECT_EQ(parse_time("2027-01-15T08:00:00Z"), 1'800'000'000);
  EXPECT_EQ(parse_time("2028-02-29T23:59:59Z"), 1'835'481'599);
  for (const char* const text :
       {"", "2027-02-29", "2027-13-01", "2027-01-00", "2027-01-15T24:00:00Z",
        "2027-01-15T08:60:00Z", "2027-01-15T08:00:00", "2027-01-15 08:00:00Z", "27-01-15", "-1",
        "2027-01-15T08:00:60Z", "99999999999999999999"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
}

}  // namespace
}  // namespace softsnp::cli::test

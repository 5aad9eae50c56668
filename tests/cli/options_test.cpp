#include "cli/options.hpp"

#include <gtest/gtest.h>

#include "cli/numbers.hpp"
#include "cli/sizing.hpp"

namespace softsnp::cli::test {
namespace {

Result<RunOptions, ParseStop> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "softsnp");
  const auto command = parse_command_line(arguments);
  if (!command) {
    return Failure{command.error()};
  }
  return std::get<RunOptions>(*command);
}

TEST(Numbers, Sizes) {
  EXPECT_EQ(parse_size("512M"), u64{512} << 20);
  EXPECT_EQ(parse_size("4G"), u64{4} << 30);
  EXPECT_EQ(parse_size("4g"), u64{4} << 30);
  EXPECT_EQ(parse_size("262144K"), u64{256} << 20);
  EXPECT_EQ(parse_size("1T"), u64{1} << 40);
  EXPECT_EQ(parse_size("256"), u64{256} << 20) << "MiB, as QEMU's -m";
  for (const char* bad : {"", "M", "0", "0M", "-1G", "1.5G", "4GB", "4 G", " 4G", "0x10M",
                          "16777216T", "99999999999999999999"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(Numbers, HexAndSeconds) {
  EXPECT_EQ(parse_hex("30000"), 0x30000u);
  EXPECT_EQ(parse_hex("0xB0000"), 0xB0000u);
  EXPECT_FALSE(parse_hex("0x"));
  EXPECT_FALSE(parse_hex("xyz"));
  EXPECT_FALSE(parse_hex("10000000000000000"));
  EXPECT_EQ(parse_number("10"), 10u);
  EXPECT_EQ(parse_number("0x10"), 16u);
  EXPECT_FALSE(parse_number("-1"));
  EXPECT_EQ(parse_seconds("1.5"), std::chrono::milliseconds(1500));
  for (const char* bad : {"", "0", "-1", "inf", "nan", "1e300", "5s"}) {
    EXPECT_FALSE(parse_seconds(bad)) << bad;
  }
}

TEST(Options, Defaults) {
  const auto options = parse({"run"});
  ASSERT_TRUE(options.ok());
  EXPECT_TRUE(options->kernel.empty());
  EXPECT_EQ(options->memory, u64{512} << 20);
  EXPECT_FALSE(options->policy);
  EXPECT_EQ(options->mode, image::Mode::snp);
  EXPECT_EQ(options->debug_exit_port, 0xF4);
  EXPECT_FALSE(options->timeout);
}

TEST(Options, Svsm) {
  EXPECT_FALSE(parse({"run"})->svsm);
  EXPECT_TRUE(parse({"run", "--svsm", "--smp", "4"})->svsm);
  const auto refused = parse({"run", "--svsm", "--mode", "sev"});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text.find("--svsm needs --mode snp"), std::string::npos);
}

TEST(Options, Vcpus) {
  EXPECT_EQ(parse({"run"})->vcpus, 1u);
  EXPECT_EQ(parse({"run", "--smp", "64"})->vcpus, 64u);
  for (const char* number : {"0", "65", "4294967297", "-1", "two"}) {
    const auto refused = parse({"run", "--smp", number});
    ASSERT_FALSE(refused.ok()) << number;
    EXPECT_EQ(refused.error().status, 2);
    EXPECT_NE(refused.error().text.find("--smp: expected NUMBER from 1 to 64"), std::string::npos)
        << refused.error().text;
  }
}

TEST(Options, Injection) {
  using snp::InjectionMode;
  EXPECT_EQ(parse({"run"})->injection, InjectionMode::normal);
  EXPECT_EQ(parse({"run", "--injection", "normal"})->injection, InjectionMode::normal);
  EXPECT_EQ(parse({"run", "--injection", "restricted"})->injection, InjectionMode::restricted);
  EXPECT_EQ(parse({"run", "--injection", "alternate"})->injection, InjectionMode::alternate);
  EXPECT_EQ(parse({"run", "--injection", "restricted,alternate"}).error().status, 2);
}

TEST(Options, Acceptance) {
  EXPECT_EQ(parse({"run"})->acceptance, image::Acceptance::eager);
  EXPECT_EQ(parse({"run", "--kernel", "k", "--accept", "lazy"})->acceptance,
            image::Acceptance::lazy);
  EXPECT_EQ(parse({"run", "--accept", "eager"})->acceptance, image::Acceptance::eager);
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{"run", "--accept", "lazy"}, "--accept lazy needs --kernel"},
      {{"run", "--accept", "lazy", "--kernel", "k", "--mode", "sev"},
       "--accept lazy needs --mode snp"},
      {{"run", "--accept", "never"}, "--accept: expected lazy|eager, got 'never'"},
  };
  for (const auto& [arguments, words] : cases) {
    const auto refused = parse(arguments);
    ASSERT_FALSE(refused.ok()) << words;
    EXPECT_NE(refused.error().text.find(words), std::string::npos) << refused.error().text;
  }
}

TEST(Options, Everything) {
  const auto options = parse({"run",
                              "--kernel",
                              "k",
                              "--initrd",
                              "i",
                              "--append",
                              "console=ttyS0 x",
                              "--memory",
                              "1G",
                              "--policy",
                              "0xB0000",
                              "--seed",
                              "7",
                              "--mode",
                              "none",
                              "--timeout",
                              "2.5",
                              "--trace",
                              "t",
                              "--stats",
                              "s",
                              "--product",
                              "milan",
                              "--debug-exit",
                              "0x501",
                              "--host-direct-map",
                              "unmap-on-assign",
                              "--guest-requests",
                              "5",
                              "--quiet"});
  ASSERT_TRUE(options.ok()) << options.error().text;
  EXPECT_EQ(options->kernel, "k");
  EXPECT_EQ(options->initrd, "i");
  EXPECT_EQ(options->append, "console=ttyS0 x");
  EXPECT_EQ(options->memory, u64{1} << 30);
  EXPECT_EQ(options->policy, 0xB0000u);
  EXPECT_EQ(options->seed, 7u);
  EXPECT_EQ(options->mode, image::Mode::plain);
  EXPECT_EQ(options->timeout, std::chrono::milliseconds(2500));
  EXPECT_EQ(options->trace, "t");
  EXPECT_EQ(options->stats, "s");
  EXPECT_EQ(options->product, psp::Product::milan);
  EXPECT_EQ(options->debug_exit_port, 0x501);
  EXPECT_EQ(options->direct_map, kvm::DirectMapPolicy::unmap_on_assign);
  EXPECT_EQ(options->guest_requests_per_second, 5u);
  EXPECT_TRUE(options->quiet);
}

TEST(Options, Platform) {
  const std::string data = std::string(62, '0') + "7f";
  const auto options =
      parse({"run", "--platform", "p", "--report-version", "5", "--vlek", "--mask-chip-key",
             "--mask-chip-id", "--commit", "--reported-tcb", "bl=1,tee=0,snp=2,ucode=3",
             "--host-data", data.c_str(), "--id-block", "b", "--id-auth", "a", "--vcek-disabled"});
  ASSERT_TRUE(options.ok()) << options.error().text;
  EXPECT_EQ(options->platform, "p");
  EXPECT_EQ(options->report_version, psp::ReportVersion::v5);
  EXPECT_TRUE(options->vlek && options->mask_chip_key && options->mask_chip_id);
  EXPECT_TRUE(options->commit && options->vcek_disabled);
  EXPECT_EQ(options->reported_tcb, "bl=1,tee=0,snp=2,ucode=3");
  ASSERT_TRUE(options->host_data.has_value());
  EXPECT_EQ((*options->host_data)[31], 0x7F);
  EXPECT_EQ(options->id_block, "b");
  EXPECT_EQ(options->id_auth, "a");
  EXPECT_FALSE(options->product.has_value());
}

TEST(Options, PlatformCommands) {
  const auto command = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "softsnp");
    return parse_command_line(arguments);
  };
  const auto init = command({"platform", "init", "d", "--product", "Turin", "--chip-id", "00",
                             "--tcb", "x", "--csp-id", "c", "--valid-from", "2026-01-01"});
  ASSERT_TRUE(init.ok()) << init.error().text;
  const auto& options = std::get<PlatformInitOptions>(*init);
  EXPECT_EQ(options.directory, "d");
  EXPECT_EQ(options.product, psp::Product::turin);
  EXPECT_EQ(options.chip_id, "00");
  EXPECT_EQ(options.valid_from, 1767225600);
  const auto certs = command({"platform", "certs", "d", "--out", "o"});
  ASSERT_TRUE(certs.ok());
  EXPECT_EQ(std::get<PlatformCertsOptions>(*certs).out, "o");
  const auto kds = command({"kds", "d", "--listen", "127.0.0.1:81"});
  ASSERT_TRUE(kds.ok());
  EXPECT_EQ(std::get<KdsOptions>(*kds).listen.port, 81);
  const auto usage = command({"platform", "certs", "d"});
  ASSERT_FALSE(usage.ok());
  EXPECT_NE(usage.error().text.find("(see softsnp platform certs --help)"), std::string::npos)
      << usage.error().text;
}

TEST(Options, AppendMayBeEmptyOrLookLikeAnOption) {
  const auto options = parse({"run", "--kernel", "k", "--append=--verbose"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->append, "--verbose");
}

TEST(Options, BadUsageIsOneLineWithStatusTwo) {
  const std::vector<std::vector<const char*>> mistakes = {
      {},
      {"walk"},
      {"run", "--kernle", "k"},
      {"run", "--kernel"},
      {"run", "--memory", "lots"},
      {"run", "--memory", "0"},
      {"run", "--policy", "none"},
      {"run", "--mode", "tdx"},
      {"run", "--product", "naples"},
      {"run", "--host-direct-map", "split"},
      {"run", "--timeout", "-1"},
      {"run", "--seed", "1x"},
      {"run", "--debug-exit", "70000"},
      {"run", "--guest-requests", "0"},
      {"run", "--guest-requests", "0x100000001"},
      {"run", "--initrd", "i"},
      {"run", "stray"},
      {"run", "--report-version", "4"},
      {"run", "--host-data", "00"},
      {"run", "--id-block", "b"},
      {"run", "--id-auth", "a"},
      {"run", "--vlek"},
      {"run", "--mode", "none", "--mask-chip-id"},
      {"run", "--mode", "none", "--platform", "p", "--vlek"},
      {"platform"},
      {"platform", "init"},
      {"platform", "init", "d", "--product", "Naples"},
      {"platform", "init", "d", "--valid-from", "yesterday"},
      {"platform", "certs", "d"},
      {"kds"},
      {"kds", "d", "--listen", "localhost:80"},
  };
  for (const auto& arguments : mistakes) {
    const auto parsed = parse(arguments);
    const std::string shown = arguments.empty() ? "" : arguments.back();
    ASSERT_FALSE(parsed.ok()) << shown;
    EXPECT_EQ(parsed.error().status, 2) << shown;
    EXPECT_EQ(parsed.error().text.find("softsnp: "), 0u) << shown;
    EXPECT_EQ(parsed.error().text.find('\n'), std::string::npos) << shown;
  }
}

TEST(Options, TheMistakeIsNamed) {
  const auto parsed = parse({"run", "--memory", "lots"});
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.error().text.find("--memory"), std::string::npos) << parsed.error().text;
  EXPECT_NE(parsed.error().text.find("'lots'"), std::string::npos) << parsed.error().text;
}

TEST(Options, HelpAndVersionSucceed) {
  const auto version = parse({"--version"});
  ASSERT_FALSE(version.ok());
  EXPECT_EQ(version.error().status, 0);
  EXPECT_EQ(version.error().text.find("softsnp "), 0u);
  const auto help = parse({"run", "--help"});
  ASSERT_FALSE(help.ok());
  EXPECT_EQ(help.error().status, 0);
  EXPECT_NE(help.error().text.find("--kernel"), std::string::npos);
  EXPECT_EQ(parse({"--help"}).error().status, 0);
}

TEST(Sizing, RoomForBothBackingsAndTheRmp) {
  for (const u64 guest : {u64{4} << 20, u64{512} << 20, u64{4} << 30, u64{1} << 40}) {
    const u64 dram = dram_bytes_for(guest);
    EXPECT_EQ(dram % (u64{1} << 30), 0u);
    const u64 rmp = dram / 4096 * 16 + (16 << 10);
    EXPECT_GE(dram - std::min(dram, rmp), 2 * guest + (u64{256} << 20)) << guest;
  }
}

}  // namespace
}  // namespace softsnp::cli::test

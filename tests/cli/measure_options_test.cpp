#include <gtest/gtest.h>

#include "cli/options.hpp"

namespace softsnp::cli::test {
namespace {

Result<MeasureOptions, ParseStop> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"softsnp", "measure"});
  const auto command = parse_command_line(arguments);
  if (!command) {
    return Failure{command.error()};
  }
  return std::get<MeasureOptions>(*command);
}

TEST(MeasureOptions, WhoLaunchesIsImplied) {
  EXPECT_EQ(parse({})->launcher, Launcher::softsnp);
  EXPECT_EQ(parse({"--ovmf", "f", "--vcpu-type", "EPYC"})->launcher, Launcher::qemu);
  EXPECT_EQ(parse({"--ovmf", "f", "--vmm-type", "gce"})->launcher, Launcher::gce);
  EXPECT_EQ(parse({"--ovmf", "f", "--vmm-type", "QEMU", "--vcpu-sig", "1"})->launcher,
            Launcher::qemu);
}

TEST(MeasureOptions, NamesAsInSevSnpMeasure) {
  const auto options =
      parse({"--mode",          "snp",   "--vcpus",          "4",    "--vcpu-type", "EPYC-v4",
             "--ovmf",          "o",     "--kernel",         "k",    "--initrd",    "i",
             "--append",        "a",     "--guest-features", "0x21", "--vmm-type",  "ec2",
             "--output-format", "base64"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->mode, MeasureMode::snp);
  EXPECT_EQ(options->vcpus, 4u);
  EXPECT_EQ(options->signature, 0x800F12u);
  EXPECT_EQ(options->features, 0x21u);
  EXPECT_EQ(options->launcher, Launcher::ec2);
  EXPECT_TRUE(options->base64);
}

TEST(MeasureOptions, FamilyModelAndStepping) {
  const auto options =
      parse({"--ovmf", "o", "--vcpu-family", "25", "--vcpu-model", "0x11", "--vcpu-stepping", "1"});
  ASSERT_TRUE(options.ok()) << options.error().text;
  EXPECT_EQ(options->signature, 0xA10F11u);
}

TEST(MeasureOptions, SvsmImpliesItsMode) {
  const auto options =
      parse({"--ovmf", "o", "--svsm", "s", "--vars-size", "540672", "--vcpu-sig", "0x800f12"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->mode, MeasureMode::svsm);
  EXPECT_EQ(options->variables_size, 540672u);
}

TEST(MeasureOptions, ContradictionsAreNamed) {
  const std::pair<std::vector<const char*>, const char*> cases[] = {
      {{"--mode", "sev"}, "--mode other than snp needs --ovmf"},
      {{"--svsm", "s"}, "--svsm needs --ovmf"},
      {{"--ovmf", "o", "--svsm-boot", "--vcpu-sig", "1"}, "--svsm-boot does not go with --ovmf"},
      {{"--guest-features", "0x19"},
       "--guest-features: softsnp run launches 1 (SNPActive) and 9 (with RestrictedInjection) "
       "only"},
      {{"--vmm-type", "qemu"}, "--vmm-type other than softsnp needs --ovmf"},
      {{"--ovmf", "o", "--vmm-type", "softsnp"}, "--vmm-type softsnp does not go with --ovmf"},
      {{"--ovmf", "o"}, "--vcpu-type, --vcpu-sig or --vcpu-family is missing"},
      {{"--ovmf", "o", "--mode", "sev", "--append", "x"}, "--append needs --kernel"},
      {{"--initrd", "i"}, "--initrd needs --kernel"},
      {{"--accept", "lazy"}, "--accept lazy needs --kernel"},
      {{"--ovmf", "o", "--vcpu-sig", "1", "--accept", "lazy"},
       "--accept lazy does not go with --ovmf"},
      {{"--vcpu-type", "EPYC"}, "--vcpu-type, --vcpu-sig and --vcpu-family need --ovmf"},
      {{"--id-key", "k"}, "--id-key needs --id-block and --id-auth"},
      {{"--author-key", "k"}, "--author-key needs --id-key"},
      {{"--vcpus", "0"}, "expected NUMBER from 1, got '0'"},
      {{"--vcpu-type", "i486"}, "--vcpu-type: expected a model such as EPYC-v4"},
      {{"--family-id", "12"}, "--family-id: expected 32 hexadecimal digits"},
      {{"--output-format", "octal"}, "--output-format: expected hex|base64, got 'octal'"},
      {{"--vcpu-type", "EPYC", "--vcpu-sig", "1"}, "excludes"},
      {{"--vcpu-family", "25"}, "need each other"},
      {{"--ovmf", "o", "--vcpu-model", "1", "--vcpu-stepping", "1"}, "need each other"},
      {{"--vcpu-family", "25", "--vcpu-model", "1", "--vcpu-stepping", "16"}, "at most 270"},
      {{"--vcpu-family", "25", "--vcpu-sig", "1"}, "excludes"},
      {{"surplus"}, "surplus"},
  };
  for (const auto& [arguments, text] : cases) {
    const auto options = parse(arguments);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_EQ(options.error().status, 2);
    EXPECT_NE(options.error().text.find(text), std::string::npos) << options.error().text;
    EXPECT_NE(options.error().text.find("softsnp measure --help"), std::string::npos)
        << options.error().text;
    EXPECT_EQ(options.error().text.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace softsnp::cli::test

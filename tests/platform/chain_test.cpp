// The chain as the openssl command line sees it, and no code of ours.
#include "platform/export.hpp"
#include "platform/kds.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::platform {
namespace {

// Midsummer 2026: within all validities.
constexpr const char* then = " -attime 1781000000 ";

class Chain : public testing::TestWithParam<Product> {
 protected:
  Chain() {
    const auto written = export_certificates(test_platform(GetParam()), files.path());
    EXPECT_TRUE(written.ok()) << written.error();
  }
  CommandResult verify(const std::string& arguments) const {
    return run_command("cd " + files.path() + " && openssl verify" + then + arguments);
  }
  CommandResult openssl(const std::string& arguments) const {
    return run_command("cd " + files.path() + " && openssl " + arguments);
  }
  TemporaryDirectory files;
};

TEST_P(Chain, Verifies) {
  CommandResult result = verify("-CAfile ark.pem -untrusted ask.pem vcek.pem");
  EXPECT_EQ(result.output, "vcek.pem: OK\n");
  result = verify("-CAfile ark.pem -untrusted asvk.pem vlek.pem");
  EXPECT_EQ(result.output, "vlek.pem: OK\n");
  result = verify("-check_ss_sig -CAfile ark.pem ark.pem ask.pem asvk.pem");
  EXPECT_EQ(result.output, "ark.pem: OK\nask.pem: OK\nasvk.pem: OK\n");
}

TEST_P(Chain, WrongSignersAndTimesDoNot) {
  EXPECT_NE(verify("-CAfile ark.pem -untrusted asvk.pem vcek.pem").status, 0);
  EXPECT_NE(verify("-CAfile ark.pem vcek.pem").status, 0);
  const CommandResult late = openssl(
      "verify -attime 2000000000 -CAfile ark.pem -untrusted ask.pem vcek.pem");  // 2033-05-18
  EXPECT_NE(late.output.find("expired"), std::string::npos) << late.output;
  const CommandResult early =
      openssl("verify -attime 1767225599 -CAfile ark.pem -untrusted ask.pem vcek.pem");
  EXPECT_NE(early.output.find("not yet valid"), std::string::npos) << early.output;
}

TEST_P(Chain, CrlIsTaken) {
  for (const char* const signer : {"ask.pem", "asvk.pem"}) {
    const CommandResult good =
        verify(std::string("-crl_check -CRLfile crl.pem -CAfile ark.pem ") + signer);
    EXPECT_EQ(good.output, std::string(signer) + ": OK\n");
    EXPECT_NE(verify(std::string("-crl_check -CAfile ark.pem ") + signer).status, 0)
        << "without the list";
  }
  EXPECT_EQ(openssl("crl -in crl.pem -noout -CAfile ark.pem").output, "verify OK\n");
}

TEST_P(Chain, CrlRevokes) {
  const Platform& platform = test_platform(GetParam());
  const Serials numbers = serials(GetParam());
  const std::string list = to_pem(revocation_list(platform, {numbers.ask}), crl_label);
  FILE* const file = std::fopen((files / "revoked.pem").c_str(), "w");
  std::fputs(list.c_str(), file);
  std::fclose(file);
  const CommandResult revoked = verify("-crl_check -CRLfile revoked.pem -CAfile ark.pem ask.pem");
  EXPECT_NE(revoked.output.find("certificate revoked"), std::string::npos) << revoked.output;
  EXPECT_EQ(verify("-crl_check -CRLfile revoked.pem -CAfile ark.pem asvk.pem").output,
            "asvk.pem: OK\n");
}

TEST_P(Chain, TextShowsTheProfile) {
  const std::string name = product_name(GetParam());
  const std::string ask = openssl("x509 -in ask.pem -noout -text").output;
  for (const std::string& expected :
       {std::string("Signature Algorithm: rsassaPss"), std::string("Hash Algorithm: sha384"),
        std::string("Mask Algorithm: mgf1 with sha384"), std::string("Salt Length: 0x30"),
        "Issuer: OU = Engineering, C = US, L = Santa Clara, ST = CA, O = Advanced Micro Devices, "
        "CN = ARK-" +
            name,
        std::string("Not After : Jan  1 00:00:00 2051 GMT"), std::string("Public-Key: (4096 bit)"),
        std::string("CA:TRUE, pathlen:0"),
        "URI:https://kdsintf.amd.com/vcek/v1/" + name + "/crl"}) {
    EXPECT_NE(ask.find(expected), std::string::npos) << expected << " in " << ask;
  }
  const std::string vcek = openssl("x509 -inform der -in vcek.der -noout -text").output;
  for (const std::string& expected :
       {std::string("CN = SEV-VCEK"), std::string("NIST CURVE: P-384"),
        std::string("Serial Number: 0 (0x0)")}) {
    EXPECT_NE(vcek.find(expected), std::string::npos) << expected << " in " << vcek;
  }
}

TEST_P(Chain, MirrorServesTheSame) {
  const std::string product = product_name(GetParam());
  const std::string vcek = "kds/vcek/v1/" + product + "/";
  const std::string vlek = "kds/vlek/v1/" + product + "/";
  const std::string id = chip_id_text(test_platform(GetParam()).settings);
  const std::vector<std::string> commands = {"cmp vcek.der " + vcek + id,
                                             "cmp vlek.der " + vlek + "cert",
                                             "cmp crl.der " + vcek + "crl",
                                             "cmp crl.der " + vlek + "crl",
                                             "cat ask.pem ark.pem | cmp - " + vcek + "cert_chain",
                                             "cat asvk.pem ark.pem | cmp - " + vlek + "cert_chain"};
  for (const std::string& command : commands) {
    const CommandResult result = run_command("cd " + files.path() + " && " + command);
    EXPECT_EQ(result.status, 0) << command << ": " << result.output;
  }
  const CommandResult chain = verify("-CAfile ark.pem -untrusted " + vcek + "cert_chain vcek.pem");
  EXPECT_EQ(chain.output, "vcek.pem: OK\n");
}

INSTANTIATE_TEST_SUITE_P(Products, Chain, testing::ValuesIn(all_products),
                         [](const auto& info) { return product_name(info.param); });

TEST(Export, ReplacesItsFilesAndNamesWhatIsInTheWay) {
  const Platform& platform = test_platform(Product::genoa);
  TemporaryDirectory files;
  EXPECT_TRUE(export_certificates(platform, files / "a").ok());
  EXPECT_TRUE(export_certificates(platform, files / "a").ok());
  std::filesystem::create_directory(files / "b");
  std::filesystem::create_directory(files / "b/ark.pem");
  auto refused = export_certificates(platform, files / "b");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("b/ark.pem"), std::string::npos) << refused.error();
  refused = export_certificates(platform, files / "a/ark.pem");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().find("is no directory"), std::string::npos) << refused.error();
}

}  // namespace
}  // namespace softsnp::platform

// What the key distribution server answers, and the certificate table.
#include "platform/kds.hpp"

#include <cstring>

#include "base/bytes.hpp"
#include "platform/certificate_table.hpp"
#include "tests/platform/fixture.hpp"

namespace softsnp::platform {
namespace {

std::string text_of(const Der& der) {
  return {reinterpret_cast<const char*>(der.data()), der.size()};
}

class Kds : public testing::TestWithParam<Product> {
 protected:
  const Platform& platform = test_platform(GetParam());
  std::string name = product_name(GetParam());
  std::string id = chip_id_text(platform.settings);
  bool turin = GetParam() == Product::turin;

  std::string query(const TcbComponents& tcb) const {
    const auto level = [](const char* key, u8 value) {
      return std::string(key) + "=" + std::to_string(value);
    };
    return (turin ? level("fmcSPL", tcb.fmc) + "&" : std::string()) +
           level("blSPL", tcb.boot_loader) + "&" + level("teeSPL", tcb.tee) + "&" +
           level("snpSPL", tcb.snp) + "&" + level("ucodeSPL", tcb.microcode);
  }
  KdsAnswer ask(const std::string& target) const { return answer_kds(platform, target); }
  void expect_refused(int status, const std::string& target) const {
    const KdsAnswer answer = ask(target);
    EXPECT_EQ(answer.status, status) << target;
    EXPECT_EQ(std::count(answer.body.begin(), answer.body.end(), '\n'), 1) << answer.body;
    EXPECT_LT(answer.body.size(), 160u) << answer.body;
    EXPECT_STREQ(answer.content_type, "text/plain");
  }
};

TEST_P(Kds, LeavesAtManyTcbs) {
  TcbComponents highest{turin ? u8{255} : u8{0}, 255, 255, 255, 255};
  TcbComponents other{turin ? u8{3} : u8{0}, 1, 2, 3, 4};
  for (const TcbComponents& tcb :
       {platform.settings.reported_tcb, other, TcbComponents{}, highest}) {
    for (const Leaf leaf : {Leaf::vcek, Leaf::vlek}) {
      const std::string path =
          leaf == Leaf::vcek ? "/vcek/v1/" + name + "/" + id : "/vlek/v1/" + name + "/cert";
      const KdsAnswer answer = ask(path + "?" + query(tcb));
      ASSERT_EQ(answer.status, 200) << answer.body;
      EXPECT_EQ(answer.body, text_of(leaf_certificate(platform, leaf, tcb)));
      EXPECT_EQ(ask(path + "?" + query(tcb)).body, answer.body) << "repeats";
      const Certificate certificate =
          parse_certificate(Der(answer.body.begin(), answer.body.end()));
      ASSERT_TRUE(certificate);
      const Certificate signer = parse_certificate(signer_certificate(platform, leaf));
      EXPECT_EQ(X509_verify(certificate.get(), X509_get0_pubkey(signer.get())), 1);
      EXPECT_TRUE(same_key(*X509_get0_pubkey(certificate.get()),
                           *leaf_public_key(platform.settings, platform.secrets, leaf, tcb)));
    }
  }
}

TEST_P(Kds, QueriesMayBePaddedAndInAnyOrder) {
  const std::string path = "/vcek/v1/" + name + "/" + id + "?";
  const std::string fmc = turin ? "&fmcSPL=02" : "";
  const KdsAnswer answer = ask(path + "ucodeSPL=213&snpSPL=22&teeSPL=01&blSPL=009" + fmc);
  EXPECT_EQ(answer.body, text_of(platform.certificates.vcek));
}

TEST_P(Kds, ChainsAndLists) {
  const Certificates& certificates = platform.certificates;
  const std::string ark = to_pem(certificates.ark, certificate_label);
  EXPECT_EQ(ask("/vcek/v1/" + name + "/cert_chain").body,
            to_pem(certificates.ask, certificate_label) + ark);
  EXPECT_EQ(ask("/vlek/v1/" + name + "/cert_chain").body,
            to_pem(certificates.asvk, certificate_label) + ark);
  EXPECT_EQ(ask("/vcek/v1/" + name + "/crl").body, text_of(certificates.crl));
  EXPECT_EQ(ask("/vlek/v1/" + name + "/crl").body, text_of(certificates.crl));
}

TEST_P(Kds, WrongPaths) {
  const std::string good = query(platform.settings.reported_tcb);
  const std::string other_name = name == "Milan" ? "Genoa" : "Milan";
  std::string other_id = id;
  other_id.back() = other_id.back() == '0' ? '1' : '0';
  const std::vector<std::string> nowhere = {std::string(),
                                            std::string("/"),
                                            std::string("?"),
                                            std::string("//"),
                                            std::string("/vcek"),
                                            "/vcek/v2/" + name + "/crl",
                                            "/vdek/v1/" + name + "/crl",
                                            "vcek/v1/" + name + "/crl",
                                            "/vcek/v1/" + other_name + "/crl",
                                            "/vcek/v1//crl",
                                            "/vcek/v1/" + other_name + "/" + id + "?" + good,
                                            "/vlek/v1/" + name + "/other",
                                            "/vcek/v1/" + name + "/" + other_id + "?" + good,
                                            "/vlek/v1/" + name + "/cert/?" + good,
                                            "/vcek/../vcek/v1/" + name + "/crl",
                                            "/vcek/v1/" + std::string(5000, 'x') + "/crl"};
  for (const std::string& target : nowhere) {
    expect_refused(404, target);
  }
  const std::string folder = "/vcek/v1/" + name + "/";
  const std::vector<std::string> malformed = {folder,
                                              folder + id.substr(1) + "?" + good,
                                              folder + id + "0?" + good,
                                              folder + std::string(id.size(), 'g') + "?" + good,
                                              folder + id + "/?" + good,
                                              folder + std::string("\0\xFF\n\r", 4)};
  for (const std::string& target : malformed) {
    expect_refused(400, target);
  }
}

TEST_P(Kds, WrongQueries) {
  const std::string path = "/vcek/v1/" + name + "/" + id;
  const std::string fmc = turin ? "&fmcSPL=1" : "";
  const std::string good = "blSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc;
  ASSERT_EQ(ask(path + "?" + good).status, 200);
  const std::vector<std::string> queries = {
      std::string(),
      std::string("?"),
      std::string("?blSPL=1"),
      "?teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?" + good + "&blSPL=1",
      "?" + good + "&other=1",
      "?&" + good,
      "?blSPL=256&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=-1&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=+1&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=1a&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=0x1&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=0001&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=99999999999999999999&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?BLSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      "?blSPL=%31&teeSPL=2&snpSPL=3&ucodeSPL=4" + fmc,
      turin ? std::string("?blSPL=1&teeSPL=2&snpSPL=3&ucodeSPL=4") : "?" + good + "&fmcSPL=1"};
  for (const std::string& wrong : queries) {
    expect_refused(400, path + wrong);
    expect_refused(400, "/vlek/v1/" + name + "/cert" + wrong);
  }
}

TEST_P(Kds, MirrorFilesAreTheAnswers) {
  const std::vector<MirrorFile> files = kds_mirror(platform);
  EXPECT_EQ(files.size(), 6u);
  for (const MirrorFile& file : files) {
    const bool is_leaf = file.path.ends_with(id) || file.path.ends_with("/cert");
    const std::string target =
        "/" + file.path + (is_leaf ? "?" + query(platform.settings.reported_tcb) : "");
    EXPECT_EQ(ask(target).status, 200) << target;
    EXPECT_EQ(ask(target).body, file.contents) << target;
  }
}

// Read as a guest does: entries up to one of zeros, offsets from the start (firmware sheet 4.5).
TEST_P(Kds, CertificateTable) {
  const auto entry = [](const std::vector<u8>& table, usize index) {
    const u8* const at = &table[index * 0x18];
    const usize offset = load_le<u32>(at + 0x10), size = load_le<u32>(at + 0x14);
    EXPECT_LE(offset + size, table.size());
    return std::pair(to_hex({at, 16}), Der(&table[offset], &table[offset] + size));
  };
  for (const Leaf leaf : {Leaf::vcek, Leaf::vlek}) {
    TcbComponents tcb = platform.settings.reported_tcb;
    --tcb.snp;
    const std::vector<u8> table = certificate_table(platform, leaf, tcb);
    EXPECT_LE(table.size(), 0x4000u);
    const bool vcek = leaf == Leaf::vcek;
    EXPECT_EQ(entry(table, 0), std::pair(std::string(vcek ? "63da758de6644564adc5f4b93be8accd"
                                                          : "a8074bc2a25a483eaae639c045a0b8a1"),
                                         leaf_certificate(platform, leaf, tcb)));
    EXPECT_EQ(entry(table, 1),
              std::pair(std::string("4ab7b379bbac4fe4a02f05aef327c782"),
                        vcek ? platform.certificates.ask : platform.certificates.asvk));
    EXPECT_EQ(entry(table, 2), std::pair(std::string("c0b406a4a803495297433fb6014cd0ae"),
                                         platform.certificates.ark));
    EXPECT_EQ(to_hex(std::span(table).subspan(0x48, 0x18)), std::string(48, '0'));
  }
}

INSTANTIATE_TEST_SUITE_P(Products, Kds, testing::ValuesIn(all_products),
                         [](const auto& info) { return product_name(info.param); });

}  // namespace
}  // namespace softsnp::platform

// The vectors of firmware sheet 2.5 that need no binary files.
#include <gtest/gtest.h>

#include "attest/firmware_digest.hpp"
#include "attest/text.hpp"
#include "tests/attest/ovmf_image.hpp"

namespace softsnp::attest::test {
namespace {

constexpr u32 epyc_v4 = 0x800F12;

psp::Digest digest_of(std::string_view text) {
  psp::Digest digest;
  const auto bytes = parse_hex_bytes(text, sizeof digest.bytes).value();
  std::copy(bytes.begin(), bytes.end(), digest.bytes);
  return digest;
}

std::string text_of(const psp::Digest& digest) {
  return hex_text(digest.bytes);
}

std::string sha384_of(const svm::Vmsa& vmsa) {
  return text_of(Sha384()(vmsa.raw));
}

const char* const amd_sev_seed =
    "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b"
    "74";

struct Row {
  VmmType vmm;
  u32 vcpus;
  u64 features;
  const char* append;  // null: no kernel
  const char* digest;
};

class FirmwareRow : public testing::TestWithParam<Row> {};

TEST_P(FirmwareRow, Digest) {
  const Row& row = GetParam();
  const std::vector<u8> bytes = amd_sev_image().bytes();
  Hashes hashes;
  if (row.append != nullptr) {
    hashes = kernel_hashes({{}, {}, row.append});
  }
  const auto digest = measure_snp(parse(bytes), hashes, {row.vmm, row.vcpus, epyc_v4, row.features},
                                  digest_of(amd_sev_seed));
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(text_of(*digest), row.digest);
}

constexpr const char* console = "console=ttyS0 loglevel=7";
const Row rows[] = {
    {VmmType::qemu, 1, 0x21, "",
     "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef"
     "198"},
    {VmmType::qemu, 1, 0x1, "",
     "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e9fc98646d4a07a9079397fa385281"
     "9b5"},
    {VmmType::qemu, 1, 0x21, console,
     "803f691094946e42068aaa3a8f9e26a5c89f36f7b73ecfb28c653360fe4b3aba7e534442e7e1e17895dfe778d0228"
     "977"},
    {VmmType::qemu, 1, 0x1, console,
     "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b0"
     "8fa"},
    {VmmType::qemu, 1, 0x21, nullptr,
     "e1e1ca029dd7973ab9513295be68198472dcd4fc834bd9af9b63f6e8a1674dbf281a9278a4a2ebe0eed9f22adbcd"
     "0e2b"},
    {VmmType::qemu, 1, 0x1, nullptr,
     "19358ba9a7615534a9a1e2f0dfc29384dcd4dcb7062ff9c6013b26869a5fc6ecabe033c48dd6f6db5d6d76e7c5df6"
     "32d"},
    {VmmType::qemu, 4, 0x21, "",
     "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631"
     "942"},
    {VmmType::qemu, 4, 0x1, "",
     "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046"
     "ad5"},
    {VmmType::ec2, 1, 0x21, "",
     "0ce9ccc06bab55eebe8abc234f3df6514883977a68a591b71052498ab52b2f1aa415db338033946ef93aa8278c0d6"
     "7fb"},
    {VmmType::ec2, 1, 0x1, "",
     "0883bd0eeb716e65b7b977a321c278d1e51b33b5c655fab985443bbcc65c086b9c15e8a0bd8811050dec7e24964e5"
     "056"},
    {VmmType::gce, 1, 0x1, "",
     "5da7106cf14cf46b1725ebab123eb9e53bd46a1e9f400cd0c08e7827b04b688ea8b4e403c8404efed4397ea5d5d07"
     "22e"},
    {VmmType::gce, 4, 0x1, "",
     "5c5debf100fc339f90276e761ee1f1658d08922c3b20e2a2e6c7a6c3370b2452a15a00eae11886a93d6fd1e7ab81e"
     "29d"},
};
INSTANTIATE_TEST_SUITE_P(Sheet, FirmwareRow, testing::ValuesIn(rows));

TEST(KnownAnswers, SeedIsOnePageAtTheEnd) {
  // The page itself is not at hand, its sum is: one step of the chain by hand.
  psp::PageInfo info;
  info.contents = digest_of(
      "161ace084859674ded7322ad102eb33f49457e0f7845a8f9ad0e03a59eac3e3e360f8b78345363feaeac956ebba2"
      "d894");
  info.page_type = 1;
  info.gpa = 0xFFFFF000;
  u8 bytes[sizeof info];
  std::memcpy(bytes, &info, sizeof info);
  EXPECT_EQ(text_of(Sha384()(bytes)), amd_sev_seed);
}

TEST(KnownAnswers, OlderToolsTakeRdxAsZeroOnEc2) {
  // Step by step up to the VMSA, then one that no monitor in measure_snp makes.
  const std::vector<u8> bytes = amd_sev_image().bytes();
  const auto hashes = kernel_hashes({});
  LaunchDigest digest(digest_of(amd_sev_seed));
  const image::Firmware firmware = parse(bytes);
  for (const image::FirmwareSection& section : *firmware.sections) {
    switch (section.type) {
      case ovmf::SectionType::cpuid:
        break;
      case ovmf::SectionType::snp_secrets:
        digest.add_unseen(image::PageType::secrets, section.gpa, section.length);
        break;
      case ovmf::SectionType::kernel_hashes:
        digest.add_normal(section.gpa, kernel_hashes_page(hashes, 0xC00));
        break;
      default:
        digest.add_unseen(image::PageType::zero, section.gpa, section.length);
    }
  }
  digest.add_unseen(image::PageType::cpuid, GuestPhysical(0x80E000), page_size);
  const std::pair<u64, const char*> expected[] = {
      {0x1,
       "7d3756157c805bf6adf617064c8552e8c1688fa1c8756f11cbf56ba5d25c9270fb69c0505c1cbe1c5c66c0e34c6"
       "ed3be"},
      {0x21,
       "6ae80856486b1396af8c82a40351d6ed76a20c785e9c7fa4ffa27c22d5d6313b4b3b458cd3c9968e6f89fb5d845"
       "0d7a6"}};
  for (const auto& [features, text] : expected) {
    svm::Vmsa vmsa = reset_state(VmmType::ec2, reset_vector, epyc_v4, features);
    vmsa.rdx = 0;
    LaunchDigest whole(digest.value());
    whole.add_vmsa(vmsa);
    EXPECT_EQ(text_of(whole.value()), text);
  }
}

TEST(KnownAnswers, OvmfPkgX64) {
  const std::vector<u8> bytes = ovmf_x64_image().bytes();
  const auto seed = digest_of(
      "b91e6fec73d2bcc57ad5fd400a426ce02731c22ea92bc894ce675e7c9921a822977d6cf025b85f8ef4f264bff883"
      "9d20");
  const auto with = [&](u64 features) {
    return text_of(
        measure_snp(parse(bytes), {}, {VmmType::qemu, 1, epyc_v4, features}, seed).value());
  };
  EXPECT_EQ(with(0x21),
            "28797ae0afaba4005a81e629acebfb59e6687949d6be44007cd5506823b0dd66f146aaae26ff291eed7b49"
            "3d8a64c385");
  EXPECT_EQ(with(0x1),
            "da0296de8193586a5512078dcd719eccecbd87e2b825ad4148c44f665dc87df21e5b49e21523a9ad993afd"
            "b6a30b4005");
}

TEST(KnownAnswers, WorkedChain) {
  const std::pair<image::FirmwareSection, const char*> steps[] = {
      {{GuestPhysical(0x800000), 0x9000, {}},
       "411a1360ae4001ab44e1c8a5f14115068566f56b565be90042aa16cc26de1492ef3025f10b7cdd14911ae69aaea"
       "7881a"},
      {{GuestPhysical(0x80A000), 0x3000, {}},
       "e0b2ff7ad80630d6c56ba3d43c7dd1cccca220d9cc60092fe69e5f31a6ab4e9537aa477497f03636ae29b18630d"
       "f8477"}};
  LaunchDigest digest(digest_of(amd_sev_seed));
  for (const auto& [section, text] : steps) {
    digest.add_unseen(image::PageType::zero, section.gpa, section.length);
    EXPECT_EQ(text_of(digest.value()), text);
  }
}

TEST(KnownAnswers, SyntheticChain) {
  LaunchDigest digest;
  const auto expect = [&digest](const char* text) { EXPECT_EQ(text_of(digest.value()), text); };
  digest.add_normal(GuestPhysical(0x1000), std::vector<u8>(page_size));
  expect(
      "e6e4d78904d9d6b33c0cbfd121998fd2d11744dae606b3aee35e2a45d6869b60b35c63928a9232bef72d6be386f4"
      "8ec6");
  digest.add_unseen(image::PageType::zero, GuestPhysical(0x2000), page_size);
  expect(
      "8233fbe1ec826b22907aa9397de357831970a96a08e3783a274d6349194edde812a85313b0916402f33d069e71e1"
      "248d");
  digest.add_unseen(image::PageType::unmeasured, GuestPhysical(0x3000), page_size);
  expect(
      "e38aa6d01be592105dece52b841baab5f074b7680817c0db474561fc74b5aa89826cef755d515e57daaabe1f220f"
      "70d6");
  digest.add_unseen(image::PageType::secrets, GuestPhysical(0x4000), page_size);
  expect(
      "4ab99c5fb84fc4720a053aee17fc63d5ca6ba07716d1f97e2e899de0aa4610d5cfc20f60f19b161b1a7b6e8f245a"
      "4f6f");
  digest.add_unseen(image::PageType::cpuid, GuestPhysical(0x5000), page_size);
  expect(
      "adf702781cc8401038504a836700bf30b87124cea93ef7e2174454dd11b1b9b6d05e1d8e7f8b46ba81813eb777f3"
      "236c");
  digest.add_vmsa(reset_state(VmmType::qemu, reset_vector, epyc_v4, 1));
  expect(
      "47f0778b1d92227de6842bed9fec449ab465cbde34d2a4b4a2ac3d56f12d6f71c737bbb2a5b0ee82421b441ed981"
      "ecc8");
}

TEST(KnownAnswers, VmsaPages) {
  const auto qemu = [](u32 eip, u32 signature, u64 features) {
    return sha384_of(reset_state(VmmType::qemu, eip, signature, features));
  };
  EXPECT_EQ(qemu(reset_vector, epyc_v4, 1),
            "77920c4c629ff47e90c0e174fc1ad0eb6fa664f88cd4739488058a8c6cb1a77b3856f55378e9518d0da994"
            "52d51c553a");
  EXPECT_EQ(qemu(0x0080B004, epyc_v4, 1),
            "8413b852790765a310d95867a8b00bfca3a802b5a80830044b45e253fe96222657e11e53fcf63eb0e0afd7"
            "22385bf7b4");
  EXPECT_EQ(qemu(0x0080B004, epyc_v4, 0x21),
            "180ef2675dc01615d31b3e84ef27a0a69d08bfbbb58ea4f6a0188f08884ab6407591ada42f99749ce9a406"
            "fb4e5d8355");
  EXPECT_EQ(qemu(reset_vector, cpu_signature("EPYC-Milan").value(), 1),
            "728af287318db5f3fc4d2357a969483c4225956dc555b514a78d64ee372112d13b3dca8afd02cdbd1c5569"
            "7d8ce087f5");
  EXPECT_EQ(qemu(reset_vector, cpu_signature("EPYC-Genoa-v1").value(), 1),
            "7d39672d1b8a3e38353a8eef23af9a14a850be7b9c80bd29898aff5cd2386719e5ce72ad660a022def56b1"
            "5e5e0f899e");
}

TEST(KnownAnswers, KernelHashes) {
  const auto table = kernel_hashes({});
  const std::string empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  EXPECT_EQ(
      hex_text({reinterpret_cast<const u8*>(&table), sizeof table}),
      "06d63894224fc94cb479a793d411fd21a800d82dd09720bd944caa78e7714d36ab2a32006e340b9cffb37a"
      "989ca544e6bb780a2c78901d3fb33738768511a30617afa01d31f7ba442f3ad74b9af141e29169781d3200" +
          empty + "3794e74dd2ab7f42b835d5b172d2045b3200" + empty + "0000000000000000");
  EXPECT_EQ(hex_text(kernel_hashes({{}, {}, console}).command_line.sum),
            "321c8eec6a77bad179511397f913a083067ad8cb737bb260aacbfe8df70fc50a");
  EXPECT_EQ(text_of(Sha384()(kernel_hashes_page(table, 0xC00))),
            "7b581a6e6bc2ae2e8a0e875bd21d19d8b0cc96f035a9c8fb1d127d3ec75e21edbb830e1f1b5c47bf7644d7"
            "f3561bece3");
}

TEST(KnownAnswers, SevAndSevEs) {
  const std::vector<u8> zeros(4096);
  image::Firmware firmware = parse(zeros);
  firmware.hash_table = {0x810C00, 0x400};
  firmware.reset_eip = 0x0080B004;
  const Hashes hashes = kernel_hashes({});
  EXPECT_EQ(hex_text(measure_sev(firmware, hashes, {}).value()),
            "741f95d51808479e6b3b4581bfc3a974c6805d01bf8ca49d6e96c2e36676fa76");
  const auto with_vcpus = [&](u32 count) {
    return hex_text(measure_sev(firmware, hashes, Vcpus{VmmType::qemu, count, epyc_v4, 1}).value());
  };
  EXPECT_EQ(with_vcpus(1), "c44ca79fad7e19ee68ffbcc4fca674254706e5a8c1d395f9a14b41a48e42a9ad");
  EXPECT_EQ(with_vcpus(2), "415a742201d8073a5effcece510fbe029978211a2a5d846188ece10ce2820b49");
}

TEST(Signatures, ByModelAndByNumbers) {
  EXPECT_EQ(cpu_signature("EPYC"), 0x800F12u);
  EXPECT_EQ(cpu_signature("EPYC-v4"), 0x800F12u);
  EXPECT_EQ(cpu_signature("EPYC-Rome"), 0x830F10u);
  EXPECT_EQ(cpu_signature("EPYC-Turin"), 0xB00F00u);
  for (const char* bad : {"", "EPYC-v5", "EPYC-v0", "EPYC-", "epyc", "EPYC-Milan-v", "EPYC-v44"}) {
    EXPECT_FALSE(cpu_signature(bad)) << bad;
  }
  EXPECT_EQ(cpu_signature(23, 1, 2), 0x800F12u);
  EXPECT_EQ(cpu_signature(25, 1, 1), 0xA00F11u);
  EXPECT_EQ(cpu_signature(25, 0x11, 0), 0xA10F10u);
  EXPECT_EQ(cpu_signature(6, 0x3F, 2), 0x306F2u);
  EXPECT_FALSE(cpu_signature(0x10F, 0, 0));
  EXPECT_FALSE(cpu_signature(25, 0x100, 0));
  EXPECT_FALSE(cpu_signature(25, 0, 16));
}

}  // namespace
}  // namespace softsnp::attest::test

// The launch digest against the known answers of firmware sheet 2.5, by the chaining function and
// through SNP_LAUNCH_UPDATE.
#include "machine/psp/launch_digest.hpp"

#include "tests/machine/psp/fixture.hpp"

namespace softsnp::psp {
namespace {

constexpr std::string_view zero_page_digest =
    "c0e59a3e3ffbd3b5c75428fb36432facabc745944296ff515f737c4fef4efc64586809f7a16f56354a1eaecf2aa8d7"
    "74";
constexpr u64 vmsa_gpa = 0xFFFFFFFFF000;

struct Step {
  PageType type;
  u64 gpa;
  unsigned pages;
  std::string_view digest;  // afterwards
};

const Step synthetic_chain[] = {
    {PageType::normal, 0x1000, 1,
     "e6e4d78904d9d6b33c0cbfd121998fd2d11744dae606b3aee35e2a45d6869b60b35c63928a9232bef72d6be386f48"
     "ec6"},
    {PageType::zero, 0x2000, 1,
     "8233fbe1ec826b22907aa9397de357831970a96a08e3783a274d6349194edde812a85313b0916402f33d069e71e12"
     "48d"},
    {PageType::unmeasured, 0x3000, 1,
     "e38aa6d01be592105dece52b841baab5f074b7680817c0db474561fc74b5aa89826cef755d515e57daaabe1f220f7"
     "0d6"},
    {PageType::secrets, 0x4000, 1,
     "4ab99c5fb84fc4720a053aee17fc63d5ca6ba07716d1f97e2e899de0aa4610d5cfc20f60f19b161b1a7b6e8f245a4"
     "f6f"},
    {PageType::cpuid, 0x5000, 1,
     "adf702781cc8401038504a836700bf30b87124cea93ef7e2174454dd11b1b9b6d05e1d8e7f8b46ba81813eb777f32"
     "36c"},
    {PageType::vmsa, vmsa_gpa, 1,
     "47f0778b1d92227de6842bed9fec449ab465cbde34d2a4b4a2ac3d56f12d6f71c737bbb2a5b0ee82421b441ed981e"
     "cc8"},
};

// First row of the sheet's table: QEMU, one vCPU, SEV_FEATURES 21, empty kernel, initrd, cmdline.
constexpr std::string_view qemu_seed =
    "086e2e9149ebf45abdc3445fba5b2da8270bdbb04094d7a2c37faaa4b24af3aa16aff8c374c2a55c467a50da6d466b"
    "74";
const Step qemu_chain[] = {
    {PageType::zero, 0x800000, 9,
     "411a1360ae4001ab44e1c8a5f14115068566f56b565be90042aa16cc26de1492ef3025f10b7cdd14911ae69aaea78"
     "81a"},
    {PageType::zero, 0x80A000, 3,
     "e0b2ff7ad80630d6c56ba3d43c7dd1cccca220d9cc60092fe69e5f31a6ab4e9537aa477497f03636ae29b18630df8"
     "477"},
    {PageType::secrets, 0x80D000, 1,
     "230c05427474c0649ea31849fe3144dbbef0921570105732b69ff5463dee1fe8612dee2db0866719377099718ecb4"
     "6d8"},
    {PageType::cpuid, 0x80E000, 1,
     "17af371be37e5a8f0f3d83cd4195cfb47b60caabf8c209e6c68ab44d6484381a057812c0760811d53f47b522a16e5"
     "574"},
    {PageType::zero, 0x80F000, 1,
     "1de7f0d81360fb802b5e2a7327f58ed1a2c9d1947a2e3cf0ae34184e6e1b4cb102da9ac69f421cded3105d12d523e"
     "4e9"},
    {PageType::normal, 0x810000, 1,
     "af02d935c664de41ded8e486c6b06c3b701b33685dfc651de17397f3a6425a48a188482d8d56729663212c1efc17a"
     "a87"},
    {PageType::zero, 0x811000, 0xF,
     "09048f370bff1a29414c64f73db9cacdd1bc0dd523da79b048c495e713448bc72cf1c17ba0ed88c96c84237d6572c"
     "158"},
    {PageType::vmsa, vmsa_gpa, 1,
     "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683632b9b50e4e1d7fa41179ef98a7ef"
     "198"},
};

// The kernel-hashes page with everything empty (firmware sheet 2.4, 2.5), at page offset C00.
std::vector<u8> empty_hashes_page() {
  const std::string empty_sha256 =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const std::vector<u8> table = from_hex(
      "06d63894224fc94cb479a793d411fd21a800d82dd09720bd944caa78e7714d36ab2a3200"
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
      "31f7ba442f3ad74b9af141e29169781d3200" +
      empty_sha256 + "3794e74dd2ab7f42b835d5b172d2045b3200" + empty_sha256 + "0000000000000000");
  EXPECT_EQ(table.size(), 0xB0u);
  std::vector<u8> page(page_size);
  std::copy(table.begin(), table.end(), page.begin() + 0xC00);
  return page;
}

TEST(LaunchDigest, synthetic_chain) {
  Sha384 sha;
  Digest digest;
  for (const Step& step : synthetic_chain) {
    const auto vmsa = qemu_vmsa(0xFFFFFFF0, 0x800F12, 1);
    const std::vector<u8> zero(page_size);
    const std::span<const u8> bytes =
        step.type == PageType::vmsa ? std::span<const u8>(vmsa.raw) : std::span<const u8>(zero);
    MeasuredPage page;
    page.type = step.type;
    page.gpa = GuestPhysical(step.gpa);
    digest = extend_digest(sha, digest, page_contents(sha, step.type, bytes), page);
    EXPECT_EQ(digest, digest_from_hex(step.digest)) << static_cast<int>(step.type);
  }
}

TEST(LaunchDigest, seed_of_the_vectors) {
  Sha384 sha;
  MeasuredPage page;
  page.gpa = GuestPhysical(0xFFFFF000);
  const Digest contents = digest_from_hex(
      "161ace084859674ded7322ad102eb33f49457e0f7845a8f9ad0e03a59eac3e3e360f8b78345363feaeac956ebba2"
      "d894");
  EXPECT_EQ(extend_digest(sha, {}, contents, page), digest_from_hex(qemu_seed));
}

TEST(LaunchDigest, zero_page) {
  Sha384 sha;
  EXPECT_EQ(page_contents(sha, PageType::normal, std::vector<u8>(page_size)),
            digest_from_hex(zero_page_digest));
  EXPECT_EQ(page_contents(sha, PageType::zero, std::vector<u8>(page_size)), Digest{});
}

TEST(LaunchDigest, vmsa_contents) {
  struct Known {
    u32 eip, signature;
    u64 features;
    std::string_view digest;
  };
  const Known known[] = {
      {0xFFFFFFF0, 0x800F12, 1,
       "77920c4c629ff47e90c0e174fc1ad0eb6fa664f88cd4739488058a8c6cb1a77b3856f55378e9518d0da99452d51"
       "c553a"},
      {0x0080B004, 0x800F12, 1,
       "8413b852790765a310d95867a8b00bfca3a802b5a80830044b45e253fe96222657e11e53fcf63eb0e0afd722385"
       "bf7b4"},
      {0x0080B004, 0x800F12, 0x21,
       "180ef2675dc01615d31b3e84ef27a0a69d08bfbbb58ea4f6a0188f08884ab6407591ada42f99749ce9a406fb4e5"
       "d8355"},
      {0xFFFFFFF0, 0x800F12, 0x21,
       "ae79efa6efbe1594a2717dfd42af495a0e4ed37b00e529a5fdf349bea04c3513962ffb0c74cf65b0d9a18572718"
       "33d6e"},
      {0xFFFFFFF0, 0xA00F11, 1,
       "728af287318db5f3fc4d2357a969483c4225956dc555b514a78d64ee372112d13b3dca8afd02cdbd1c55697d8ce"
       "087f5"},
      {0xFFFFFFF0, 0xA10F10, 1,
       "7d39672d1b8a3e38353a8eef23af9a14a850be7b9c80bd29898aff5cd2386719e5ce72ad660a022def56b15e5e0"
       "f899e"},
  };
  Sha384 sha;
  for (const Known& row : known) {
    svm::Vmsa vmsa = qemu_vmsa(row.eip, row.signature, row.features);
    EXPECT_EQ(vmsa_contents(sha, vmsa), digest_from_hex(row.digest));
    vmsa.guest_tsc_scale = 123;
    vmsa.guest_tsc_offset = 456;
    EXPECT_EQ(vmsa_contents(sha, vmsa), digest_from_hex(row.digest)) << "TSC is not measured";
  }
}

TEST(LaunchDigest, permissions_and_imi_are_measured) {
  Sha384 sha;
  MeasuredPage page;
  std::vector<Digest> digests{extend_digest(sha, {}, {}, page)};
  for (unsigned vmpl = 0; vmpl < 3; ++vmpl) {
    page = {};
    page.vmpl_permissions[vmpl] = 1;
    digests.push_back(extend_digest(sha, {}, {}, page));
  }
  page = {};
  page.imi = true;
  digests.push_back(extend_digest(sha, {}, {}, page));
  for (usize a = 0; a < digests.size(); ++a) {
    for (usize b = 0; b < a; ++b) {
      EXPECT_NE(digests[a], digests[b]);
    }
  }
}

class LaunchDigestTest : public PspTest {
 protected:
  void load(const Step& step) {
    for (unsigned n = 0; n < step.pages; ++n) {
      const SystemPhysical at = page + used_++ * page_size;
      if (step.type == PageType::vmsa) {
        put(at, vmsa);
      } else if (step.type == PageType::normal) {
        dram.write(at, memory::KeyId::none, normal);
      }
      make_pre_guest(at, step.gpa + n * page_size);
      ASSERT_EQ(launch_update(step.type, at), Status::success);
    }
    EXPECT_EQ(guest().launch_digest, digest_from_hex(step.digest));
  }
  svm::Vmsa vmsa{};
  std::vector<u8> normal = std::vector<u8>(page_size);

 private:
  u64 used_ = 0;
};

TEST_F(LaunchDigestTest, synthetic_chain_through_launch_update) {
  begin_launch();
  vmsa = qemu_vmsa(0xFFFFFFF0, 0x800F12, 1);
  for (const Step& step : synthetic_chain) {
    load(step);
  }
}

TEST_F(LaunchDigestTest, qemu_chain_through_launch_update_and_finish) {
  begin_launch();
  change_state(
      [](PspState& state) { state.guests.at(context).launch_digest = digest_from_hex(qemu_seed); });
  vmsa = qemu_vmsa(0xFFFFFFF0, 0x800F12, 0x21);
  normal = empty_hashes_page();
  Sha384 sha;
  EXPECT_EQ(sha(normal),
            digest_from_hex("7b581a6e6bc2ae2e8a0e875bd21d19d8b0cc96f035a9c8fb1d127d3ec7"
                            "5e21edbb830e1f1b5c47bf7644d7f3561bece3"));
  for (const Step& step : qemu_chain) {
    load(step);
  }
  ASSERT_EQ(launch_finish(), Status::success);
  ASSERT_EQ(recorder.finished.size(), 1u);
  EXPECT_EQ(recorder.finished[0].launch_digest,
            digest_from_hex(qemu_chain[std::size(qemu_chain) - 1].digest));
  EXPECT_EQ(recorder.finished[0].context, context);
  EXPECT_EQ(recorder.finished[0].asid, asid);
}

TEST_F(LaunchDigestTest, a_2m_page_is_512_steps) {
  begin_launch();
  for (const PageType type : {PageType::normal, PageType::zero, PageType::unmeasured}) {
    Sha384 sha;
    Digest expected = guest().launch_digest;
    const u64 gpa = 0x40000000;
    const SystemPhysical at = page + static_cast<u64>(type) * large_page_size;
    for (u64 n = 0; n < 512; ++n) {
      std::vector<u8> bytes(page_size, static_cast<u8>(n));
      dram.write(at + n * page_size, memory::KeyId::none, bytes);
      MeasuredPage measured;
      measured.type = type;
      measured.gpa = GuestPhysical(gpa + n * page_size);
      expected = extend_digest(sha, expected, page_contents(sha, type, bytes), measured);
    }
    make_pre_guest(at, gpa, PageSize::size_2m);
    ASSERT_EQ(launch_update(type, at, PageSize::size_2m), Status::success);
    EXPECT_EQ(guest().launch_digest, expected);
    for (const u64 n : {u64{0}, u64{1}, u64{511}}) {
      const u8 value = type == PageType::zero ? u8{0} : static_cast<u8>(n);
      EXPECT_EQ(page_bytes(at + n * page_size, memory::key_of(asid)),
                std::vector<u8>(page_size, value));
    }
  }
}

}  // namespace
}  // namespace softsnp::psp

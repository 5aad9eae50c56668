// What depends on what, and hostile firmware files.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

#include "attest/firmware_digest.hpp"
#include "attest/text.hpp"
#include "tests/attest/ovmf_image.hpp"

namespace softsnp::attest::test {
namespace {

OvmfImage large_image() {
  OvmfImage image = amd_sev_image();
  image.size = 4 * page_size;
  return image;
}

// Kernel, initrd, command line and all that the command line of the measurer gives.
struct Everything {
  OvmfImage image = large_image();
  std::vector<u8> kernel = std::vector<u8>(3000, 7), initrd = std::vector<u8>(5000, 9);
  std::string append = "console=ttyS0";
  Vcpus vcpus{VmmType::qemu, 2, 0xA00F11, 1};
  usize flipped = ~usize{0};  // byte of the firmware

  std::string snp() const {
    std::vector<u8> bytes = image.bytes();
    if (flipped < bytes.size()) {
      bytes[flipped] ^= 1;
    }
    const auto digest = measure_snp(parse(bytes), kernel_hashes({kernel, initrd, append}), vcpus);
    return digest ? hex_text(digest->bytes) : digest.error().text;
  }
  std::string sev_es() const {
    const std::vector<u8> bytes = image.bytes();
    return hex_text(
        measure_sev(parse(bytes), kernel_hashes({kernel, initrd, append}), vcpus).value());
  }
};

TEST(FirmwareDigest, EveryInputCounts) {
  const std::vector<std::function<void(Everything&)>> changes = {
      [](Everything&) {},
      [](Everything& e) { e.kernel[2999] ^= 0x80; },
      [](Everything& e) { e.kernel.push_back(0); },
      [](Everything& e) { e.initrd[0] ^= 1; },
      [](Everything& e) { e.append[3] ^= 1; },
      [](Everything& e) { e.flipped = 0; },
      [](Everything& e) { e.flipped = 2 * page_size; },
      [](Everything& e) { e.flipped = 4 * page_size - 1; },
      [](Everything& e) { e.vcpus.count = 3; },
      [](Everything& e) { e.vcpus.signature ^= 1; },
      [](Everything& e) { e.vcpus.sev_features ^= 1u << 5; },
      [](Everything& e) { e.vcpus.vmm = VmmType::ec2; },
      [](Everything& e) { e.vcpus.vmm = VmmType::gce; },
      [](Everything& e) { e.image.sections[0].size += 0x1000; },
      [](Everything& e) { e.image.sections[0].gpa -= 0x1000; },
      [](Everything& e) { std::swap(e.image.sections[0], e.image.sections[1]); },
      [](Everything& e) { e.image.reset_eip ^= 4; },
      [](Everything& e) { e.image.size += page_size; },
  };
  std::set<std::string> digests;
  for (const auto& change : changes) {
    Everything e;
    change(e);
    const std::string digest = e.snp();
    EXPECT_EQ(digest.size(), 96u) << digest;
    digests.insert(digest);
  }
  EXPECT_EQ(digests.size(), changes.size());
}

TEST(FirmwareDigest, SevEsDependsOnVcpusSevDoesNot) {
  Everything e;
  const std::string two = e.sev_es();
  e.vcpus.count = 1;
  EXPECT_NE(e.sev_es(), two);
  const std::vector<u8> bytes = e.image.bytes();
  EXPECT_NE(hex_text(measure_sev(parse(bytes), {}, {}).value()), two);
  EXPECT_EQ(measure_sev(parse(bytes), {}, {}).value(), sha256(bytes));
}

TEST(FirmwareDigest, Svsm) {
  const std::vector<u8> firmware_bytes = amd_sev_image().bytes();
  OvmfImage svsm_image;
  svsm_image.size = 8 * page_size;
  svsm_image.sections = {{0x10000, 0x3000, ovmf::SectionType::snp_memory},
                         {0x13000, 0x1000, ovmf::SectionType::snp_secrets},
                         {0x14000, 0x1000, ovmf::SectionType::cpuid}};
  svsm_image.svsm_launch_offset = 0x20;
  const auto measured = [&](const OvmfImage& image, u64 variables, u32 vcpus) {
    const std::vector<u8> bytes = image.bytes();
    const image::Firmware firmware = parse(firmware_bytes);
    const auto svsm =
        image::parse_firmware({"svsm.bin", bytes}, svsm_end(firmware, variables).value());
    return measure_svsm(firmware, svsm.value(), {VmmType::qemu, vcpus, 0x800F12, 1});
  };
  // By hand: both images, sections, one VMSA that starts at the image's offset.
  const u64 base = 0xFFFFF000 - 0x2000 - svsm_image.size;
  LaunchDigest expected;
  expected.add_normal(GuestPhysical(0xFFFFF000), firmware_bytes);
  expected.add_normal(GuestPhysical(base), svsm_image.bytes());
  expected.add_unseen(image::PageType::zero, GuestPhysical(0x10000), 0x3000);
  expected.add_unseen(image::PageType::secrets, GuestPhysical(0x13000), 0x1000);
  expected.add_unseen(image::PageType::cpuid, GuestPhysical(0x14000), 0x1000);
  svm::Vmsa vmsa = svsm_state(static_cast<u32>(base + 0x20), 0x800F12);
  EXPECT_EQ(vmsa.rip, base + 0x20);
  expected.add_vmsa(vmsa);
  EXPECT_EQ(measured(svsm_image, 0x2000, 1).value(), expected.value());
  EXPECT_NE(measured(svsm_image, 0x3000, 1).value(), expected.value());
  EXPECT_NE(measured(svsm_image, 0x2000, 2).value(), expected.value());
  EXPECT_FALSE(measured(svsm_image, 0x2001, 1).ok());
  svsm_image.svsm_launch_offset = 0;
  EXPECT_EQ(measured(svsm_image, 0x2000, 1).error().text,
            "svsm.bin: SVSM info: not found in the GUID table: where the SVSM starts is unknown");
}

std::string parse_error(const std::vector<u8>& bytes) {
  const auto parsed = image::parse_firmware({"f", bytes});
  return parsed ? "" : parsed.error().text;
}

TEST(FirmwareParser, NamesTheField) {
  const auto with_sections = [](std::vector<ovmf::MetadataSection> sections) {
    OvmfImage image;
    image.sections = std::move(sections);
    return parse_error(image.bytes());
  };
  constexpr auto memory = ovmf::SectionType::snp_memory;
  EXPECT_EQ(with_sections({{0x800000, 0x1000, memory}}), "");
  EXPECT_EQ(with_sections({{0x800010, 0x1000, memory}}),
            "f: SEV metadata section 0: expected whole pages below 4 GiB, got 0x1000 bytes at "
            "0x800010");
  EXPECT_NE(with_sections({{0x800000, 0, memory}}), "");
  EXPECT_NE(with_sections({{0x800000, 0xFFFFF000, memory}}), "");
  EXPECT_EQ(with_sections({{0x800000, 0x3000, memory}, {0x802000, 0x1000, memory}}),
            "f: SEV metadata sections: page 0x802000 would be launched twice");
  EXPECT_EQ(with_sections({{0xFFFFF000, 0x1000, memory}}),
            "f: SEV metadata sections: page 0xfffff000 would be launched twice");
  EXPECT_EQ(with_sections({{0x800000, 0x1000, ovmf::SectionType{9}}}),
            "f: SEV metadata section 0: unknown type 0x9");
  EXPECT_EQ(with_sections({{0x800000, 0x2000, ovmf::SectionType::snp_secrets}}),
            "f: SEV metadata section 0: expected one page, got 0x2000 bytes");
  EXPECT_EQ(parse_error({}), "f: size: expected up to 64 MiB, got 0 bytes");
}

TEST(FirmwareParser, LengthsInTheTable) {
  const std::vector<u8> good = amd_sev_image().bytes();
  const auto with = [&good](usize from_end, auto value) {
    std::vector<u8> bytes = good;
    std::memcpy(&bytes[bytes.size() - from_end], &value, sizeof value);
    return parse_error(bytes);
  };
  constexpr usize footer = 0x20 + 0x12;
  EXPECT_EQ(with(footer, u16{0xFFFF}), "f: GUID table length: does not fit the file: 0xffff");
  EXPECT_EQ(with(footer, u16{3}), "f: GUID table length: does not fit the file: 0x3");
  EXPECT_NE(with(footer + 0x12, u16{0xFFFF}).find("GUID table entry length"), std::string::npos);
  EXPECT_NE(with(footer + 0x12, u16{0}).find("GUID table entry length"), std::string::npos);
  EXPECT_EQ(with(footer + 0x12, u16{0x14}).find("SEV-ES reset block: expected 4 bytes"), 3u);
}

TEST(FirmwareDigest, SaysWhatAnImageLacks) {
  const auto error = [](const OvmfImage& image, const Hashes& hashes, u32 vcpus) {
    const std::vector<u8> bytes = image.bytes();
    const auto digest = measure_snp(parse(bytes), hashes, {VmmType::qemu, vcpus, 0, 1});
    return digest ? std::string() : digest.error().text;
  };
  const Hashes hashes = kernel_hashes({});
  EXPECT_EQ(error(amd_sev_image(), hashes, 1), "");
  EXPECT_EQ(error(ovmf_x64_image(), {}, 1), "");
  EXPECT_NE(error(ovmf_x64_image(), hashes, 1).find("ovmf.fd: SEV hash table: not found"),
            std::string::npos);
  OvmfImage no_section = ovmf_x64_image();
  no_section.hash_table = true;
  EXPECT_NE(error(no_section, hashes, 1).find("no section for kernel hashes"), std::string::npos);
  OvmfImage no_reset = amd_sev_image();
  no_reset.reset_eip = 0;
  EXPECT_EQ(error(no_reset, {}, 1), "");
  EXPECT_NE(error(no_reset, {}, 2).find("SEV-ES reset block"), std::string::npos);
  OvmfImage no_metadata = amd_sev_image();
  no_metadata.metadata = false;
  EXPECT_NE(error(no_metadata, {}, 1).find("SEV metadata: not found"), std::string::npos);
  OvmfImage odd = amd_sev_image();
  odd.size += 16;
  EXPECT_NE(error(odd, {}, 1).find("whole pages"), std::string::npos);
  EXPECT_NE(error(amd_sev_image(), {}, 0).find("vcpus: count"), std::string::npos);
}

// Any damage to the interesting end of the file: an answer or one line, and soon.
TEST(FirmwareParser, RandomDamage) {
  std::mt19937 random(2);
  const std::vector<u8> good = amd_sev_image().bytes();
  const Hashes hashes = kernel_hashes({});
  unsigned refused = 0;
  for (unsigned round = 0; round < 20000; ++round) {
    std::vector<u8> bytes = good;
    bytes.erase(bytes.begin(), bytes.begin() + random() % 2 * (random() % bytes.size()));
    const usize interesting = std::min<usize>(bytes.size(), 0x140);
    for (unsigned i = random() % 4; i > 0 && interesting > 0; --i) {
      constexpr u8 nasty[] = {0, 1, 0x7F, 0x80, 0xFF, 0x12};
      u8& byte = bytes[bytes.size() - 1 - random() % interesting];
      byte = random() % 2 != 0 ? nasty[random() % sizeof nasty] : static_cast<u8>(random());
    }
    const auto parsed = image::parse_firmware({"f", bytes});
    if (!parsed) {
      EXPECT_EQ(parsed.error().text.find('\n'), std::string::npos);
      ++refused;
      continue;
    }
    u64 pages = 0;
    for (const auto& section : parsed->sections.value_or(std::vector<image::FirmwareSection>())) {
      pages += section.length / page_size;
    }
    if (pages < 0x1000) {
      static_cast<void>(measure_snp(*parsed, hashes, {VmmType::qemu, 2, 0, 1}).ok());
      static_cast<void>(measure_sev(*parsed, hashes, Vcpus{}).ok());
    }
  }
  EXPECT_GT(refused, 1000u);
  EXPECT_LT(refused, 19000u);
}

}  // namespace
}  // namespace softsnp::attest::test

// The layout of each version, field by field against firmware sheet 5.1, 5.2 and 1.7.
#include "attest/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attest/report_text.hpp"
#include "attest/text.hpp"
#include "base/bytes.hpp"
#include "tests/attest/known_report.hpp"

namespace softsnp::attest::test {
namespace {

using Bytes = std::vector<u8>;
using Json = nlohmann::json;

struct Filler {
  Bytes bytes = Bytes(0x4A0);
  template <class T>
  void put(usize at, const T& value) {
    store_le(&bytes[at], value);
  }
  // Bytes that differ from place to place.
  std::string fill(usize at, usize count) {
    for (usize i = 0; i < count; ++i) {
      bytes[at + i] = static_cast<u8>(at / 4 + 3 * i + 1);
    }
    return hex_text(std::span(bytes).subspan(at, count));
  }
};

Json shown(const Bytes& bytes) {
  const auto report = read_report("r", bytes);
  EXPECT_TRUE(report.ok()) << (report ? "" : report.error());
  return Json::parse(report_json(*report));
}

// All fields but those that depend on version and product.
Filler common(u32 version) {
  Filler f;
  f.put(0x000, version);
  f.put(0x004, u32{0x01020304});
  f.put(0x008, u64{0x2FF1234});  // all policy bits from 16 to 23 and 25, ABI 12.34
  f.put(0x030, u32{2});
  f.put(0x034, u32{1});
  f.put(0x048, u32{0x7});  // AUTHOR_KEY_EN, MASK_CHIP_KEY, VLEK
  f.put(0x1E8, std::array<u8, 8>{25, 55, 1, 0, 24, 54, 2, 0});
  return f;
}

void expect_policy(const Json& policy) {
  EXPECT_EQ(policy["value"], "0x2ff1234");
  EXPECT_EQ(policy["abi_major"], 0x12);
  EXPECT_EQ(policy["abi_minor"], 0x34);
  for (const char* const on :
       {"smt_allowed", "migration_agent_allowed", "debug_allowed", "single_socket", "cxl_allowed",
        "mem_aes_256_xts", "rapl_disabled", "page_swap_disabled"}) {
    EXPECT_EQ(policy[on], true) << on;
  }
  EXPECT_EQ(policy["ciphertext_hiding_dram"], false);  // bit 24
}

class EveryVersion : public testing::TestWithParam<u32> {};

TEST_P(EveryVersion, ShowsEveryFieldFromItsPlace) {
  const u32 version = GetParam();
  Filler f = common(version);
  const std::map<std::string, std::string> wanted = {
      {"family_id", f.fill(0x010, 16)},         {"image_id", f.fill(0x020, 16)},
      {"report_data", f.fill(0x050, 64)},       {"measurement", f.fill(0x090, 48)},
      {"host_data", f.fill(0x0C0, 32)},         {"id_key_digest", f.fill(0x0E0, 48)},
      {"author_key_digest", f.fill(0x110, 48)}, {"report_id", f.fill(0x140, 32)},
      {"report_id_ma", f.fill(0x160, 32)},      {"chip_id", f.fill(0x1A0, 64)}};
  if (version >= 3) {
    f.put(0x188, std::array<u8, 3>{0x19, 0x11, 1});
  }
  f.put(0x040, u64{version == 5 ? 0xBFu : version == 2 ? 0x1Fu : 0x3Fu});
  f.put(0x1F8, u64{version == 5 ? 0x11u : 0});
  f.put(0x200, u64{version == 5 ? 0x22u : 0});
  const Json json = shown(f.bytes);
  EXPECT_EQ(json["form"], "raw");
  EXPECT_EQ(json["version"], version);
  EXPECT_EQ(json["guest_svn"], 0x01020304);
  EXPECT_EQ(json["vmpl"], 2);
  EXPECT_EQ(json["signature_algorithm"]["value"], 1);
  expect_policy(json["policy"]);
  for (const auto& [field, text] : wanted) {
    EXPECT_EQ(json[field], text) << field;
  }
  EXPECT_EQ(json["signer_info"], Json({{"value", "0x7"},
                                       {"author_key_en", true},
                                       {"mask_chip_key", true},
                                       {"signing_key", "VLEK"}}));
  EXPECT_EQ(json["current_version"], Json({{"major", 1}, {"minor", 55}, {"build", 25}}));
  EXPECT_EQ(json["committed_version"], Json({{"major", 2}, {"minor", 54}, {"build", 24}}));
  const Json& info = json["platform_info"];
  for (const char* const on :
       {"smt_en", "tsme_en", "ecc_en", "rapl_dis", "ciphertext_hiding_dram_en"}) {
    EXPECT_EQ(info[on], true) << on;
  }
  EXPECT_EQ(info["alias_check_complete"], version >= 3);
  EXPECT_EQ(info["tio_en"], version == 5);
  EXPECT_EQ(json.contains("launch_mitigation_vector"), version == 5);
  if (version == 5) {
    EXPECT_EQ(json["launch_mitigation_vector"], "0x11");
    EXPECT_EQ(json["current_mitigation_vector"], "0x22");
  }
  EXPECT_EQ(json["cpuid"].is_null(), version == 2);
  EXPECT_EQ(json["product"], version == 2 ? Json() : Json("Genoa"));
  EXPECT_EQ(json["format_problems"], Json::array()) << json["format_problems"];
}

TEST_P(EveryVersion, DecodesTheFourTcbsByLayout) {
  const u32 version = GetParam();
  for (const bool turin : {false, true}) {
    Filler f = common(version);
    f.fill(0x1A0, turin ? 8 : 64);
    if (version >= 3) {
      f.put(0x188, turin ? std::array<u8, 3>{0x1A, 2, 1} : std::array<u8, 3>{0x19, 1, 1});
    }
    u8 first = 0x10;
    for (const usize at : {0x038u, 0x180u, 0x1E0u, 0x1F0u}) {
      f.put(at, turin ? std::array<u8, 8>{first, 1, 2, 3, 0, 0, 0, 4}
                      : std::array<u8, 8>{first, 2, 0, 0, 0, 0, 3, 4});
      ++first;
    }
    const Json json = shown(f.bytes);
    first = 0x10;
    for (const char* const field : {"current_tcb", "reported_tcb", "committed_tcb", "launch_tcb"}) {
      Json tcb = json[field];
      tcb.erase("value");
      EXPECT_EQ(
          tcb,
          turin
              ? Json({{"fmc", first}, {"boot_loader", 1}, {"tee", 2}, {"snp", 3}, {"microcode", 4}})
              : Json({{"boot_loader", first}, {"tee", 2}, {"snp", 3}, {"microcode", 4}}))
          << field << " version " << version;
      ++first;
    }
    EXPECT_EQ(json["tcb_layout"], turin ? "Turin" : "Milan and Genoa");
  }
}

INSTANTIATE_TEST_SUITE_P(Report, EveryVersion, testing::Values(2u, 3u, 4u, 5u));

TEST(Report, EachReservedByteThatIsNotZeroIsNamed) {
  // By version: first and last byte of what the sheet says is zero.
  const std::map<u32, std::vector<std::pair<usize, usize>>> ranges = {
      {2,
       {{0x4C, 0x4F},
        {0x188, 0x19F},
        {0x1EB, 0x1EB},
        {0x1EF, 0x1EF},
        {0x1F8, 0x29F},
        {0x2D0, 0x2E7},
        {0x318, 0x49F}}},
      {3,
       {{0x4C, 0x4F},
        {0x18B, 0x19F},
        {0x1EB, 0x1EB},
        {0x1EF, 0x1EF},
        {0x1F8, 0x29F},
        {0x2D0, 0x2E7},
        {0x318, 0x49F}}},
      {4, {{0x18B, 0x19F}, {0x1F8, 0x29F}}},
      {5, {{0x18B, 0x19F}, {0x208, 0x29F}}}};
  for (const auto& [version, all] : ranges) {
    for (const auto& [first, last] : all) {
      for (usize at = first; at <= last; ++at) {
        Filler f = common(version);
        if (version >= 3) {
          f.put(0x188, std::array<u8, 3>{0x19, 0x11, 1});
        }
        f.bytes[at] = 0xA5;
        const auto problems = format_problems(read_report("r", f.bytes)->fields);
        ASSERT_EQ(problems.size(), 1u) << std::hex << at << " in version " << version;
        EXPECT_NE(problems[0].find(fmt_offset(at)), std::string::npos) << problems[0];
      }
    }
  }
}

TEST(Report, ReservedBitsAreNamed) {
  const auto problems = [](usize at, u64 value) {
    Filler f = common(5);
    f.put(0x188, std::array<u8, 3>{0x19, 0x11, 1});
    f.put(at, value);
    return format_problems(read_report("r", f.bytes)->fields);
  };
  for (unsigned n = 26; n < 64; ++n) {
    EXPECT_EQ(
        problems(0x08, u64{0x20000} | u64{1} << n),
        std::vector<std::string>{"POLICY bit " + std::to_string(n) + ": reserved, expected 0"});
  }
  EXPECT_EQ(problems(0x08, 0), std::vector<std::string>{"POLICY bit 17: reserved, expected 1"});
  for (unsigned n = 0; n < 64; ++n) {
    const bool reserved = n == 6 || n > 7;
    EXPECT_EQ(problems(0x40, u64{1} << n).size(), reserved ? 1u : 0u) << n;
  }
  EXPECT_EQ(problems(0x48, 0x20).size(), 1u);
  EXPECT_EQ(problems(0x48, 0x08).size(), 1u) << "signing key 2";
  EXPECT_EQ(problems(0x34, 2).size(), 1u);
}

TEST(Report, TheMessageAroundItIsRecognised) {
  const Bytes raw = known_report();
  Bytes message(0x4C0);
  store_le(&message[4], u32{0x4A0});
  std::copy(raw.begin(), raw.end(), message.begin() + 0x20);
  EXPECT_EQ(shown(message)["form"], "MSG_REPORT_RSP");
  Bytes ioctl = message;
  ioctl.resize(4000);
  EXPECT_EQ(shown(ioctl)["form"], "SNP_GET_REPORT");
  for (Bytes* const one : {&message, &ioctl}) {
    Json inner = shown(*one);
    Json outer = shown(raw);
    inner.erase("form");
    outer.erase("form");
    EXPECT_EQ(inner, outer);
  }
  const auto error = [](Bytes bytes, usize at, u8 value) {
    bytes[at] = value;
    const auto report = read_report("r", bytes);
    return report ? std::string("read") : report.error();
  };
  EXPECT_NE(error(message, 0, 0x16).find("refused"), std::string::npos);
  EXPECT_NE(error(message, 4, 0).find("REPORT_SIZE"), std::string::npos);
  EXPECT_NE(error(message, 8, 1).find("expected zero"), std::string::npos);
  EXPECT_NE(error(ioctl, 3999, 1).find("after the report"), std::string::npos);
}

TEST(Report, TheRealMilanReport) {
  const Json json = shown(known_report());
  EXPECT_EQ(json["version"], 2);
  EXPECT_EQ(json["policy"]["value"], "0x30000");
  EXPECT_EQ(json["reported_tcb"], Json({{"value", "0x7308000000000003"},
                                        {"boot_loader", 3},
                                        {"tee", 0},
                                        {"snp", 8},
                                        {"microcode", 0x73}}));
  EXPECT_EQ(json["current_version"], Json({{"major", 1}, {"minor", 52}, {"build", 4}}));
  EXPECT_EQ(json["signature"]["r"].get<std::string>().substr(0, 16), "72827fd0029b56ee");
  EXPECT_EQ(json["format_problems"], Json::array());
}

TEST(Report, TextHasALineForEachField) {
  const auto report = read_report("r", known_report());
  const std::string text = report_text(*report);
  const Json fields = Json::parse(report_json(*report));
  for (const auto& [field, value] : fields.items()) {
    EXPECT_NE(('\n' + text).find('\n' + field), std::string::npos) << field;
  }
  EXPECT_NE(text.find("  microcode                 115\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace softsnp::attest::test

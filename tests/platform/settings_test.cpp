#include "platform/settings.hpp"

#include "tests/platform/fixture.hpp"

namespace softsnp::platform {
namespace {

TEST(Calendar, Text) {
  EXPECT_EQ(time_text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(parse_time("2026-01-01"), test_start);
  EXPECT_EQ(parse_time("2026-01-01T00:00:00Z"), test_start);
  EXPECT_EQ(parse_time("2026-01-01T01:02:03Z"), test_start + 3723);
  EXPECT_EQ(parse_time("2024-02-29"), 1709164800);
  for (const char* bad : {"",
                          "2026",
                          "2026-1-1",
                          "2026-13-01",
                          "2026-02-30",
                          "2023-02-29",
                          "1969-12-31",
                          "9900-01-01",
                          "2026-01-01T",
                          "2026-01-01T00:00Z",
                          "2026-01-01T24:00:00Z",
                          "2026-01-01T00:00:00",
                          "2026-01-01T00:00:00z",
                          "2026-01-01T00:00:60Z",
                          "-026-01-01",
                          "2026-01-01 ",
                          "2026-+1-01",
                          "2026--1-01",
                          "2026/01/01",
                          "2026-01-01T00:00:00ZZ"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

TEST(Calendar, Years) {
  EXPECT_EQ(time_text(add_years(test_start, 25)), "2051-01-01T00:00:00Z");
  EXPECT_EQ(time_text(add_years(*parse_time("2024-02-29"), 1)), "2025-03-01T00:00:00Z");
  EXPECT_EQ(time_text(add_years(*parse_time("2024-02-29"), 4)), "2028-02-29T00:00:00Z");
}

TEST(Tcb, Text) {
  const auto genoa = parse_tcb("bl=10,tee=0,snp=23,ucode=84", Product::genoa);
  ASSERT_TRUE(genoa.ok());
  EXPECT_EQ(*genoa, (TcbComponents{0, 10, 0, 23, 84}));
  EXPECT_EQ(tcb_text(*genoa, Product::genoa), "bl=10,tee=0,snp=23,ucode=84");
  const auto turin = parse_tcb("fmc=1,ucode=255,snp=4,tee=3,bl=2", Product::turin);
  ASSERT_TRUE(turin.ok());
  EXPECT_EQ(*turin, (TcbComponents{1, 2, 3, 4, 255}));
  EXPECT_EQ(tcb_text(*turin, Product::turin), "bl=2,tee=3,snp=4,ucode=255,fmc=1");
  for (const char* bad :
       {"", "bl=1", "bl=1,tee=0,snp=2", "bl=1,tee=0,snp=2,ucode=256", "bl=1,tee=0,snp=2,ucode=-1",
        "bl=1,tee=0,snp=2,ucode=3,fmc=1", "bl=1,bl=1,snp=2,ucode=3", "bl=1,tee=0,snp=2,ucode=3,",
        "bl=1,,tee=0,snp=2,ucode=3", "bl,tee=0,snp=2,ucode=3", "bl=,tee=0,snp=2,ucode=3",
        "bl=0x1,tee=0,snp=2,ucode=3", "bl= 1,tee=0,snp=2,ucode=3", ",", "="}) {
    EXPECT_FALSE(parse_tcb(bad, Product::genoa).ok()) << bad;
  }
  EXPECT_FALSE(parse_tcb("bl=1,tee=0,snp=2,ucode=3", Product::turin).ok()) << "fmc is missing";
}

TEST(Products, Names) {
  EXPECT_EQ(parse_product("Milan"), Product::milan);
  EXPECT_EQ(parse_product("genoa"), Product::genoa);
  EXPECT_EQ(parse_product("TURIN"), Product::turin);
  EXPECT_FALSE(parse_product("Naples"));
  EXPECT_FALSE(parse_product("Mila"));
  EXPECT_FALSE(parse_product("Milano"));
  EXPECT_FALSE(parse_product(""));
}

TEST(SettingsJson, RoundTrip) {
  for (const Product product : all_products) {
    Settings settings = test_settings(product);
    settings.committed_tcb.snp = 5;
    settings.reported_tcb = settings.committed_tcb;
    settings.reported_tcb.boot_loader = 0;
    settings.csp_id = R"("quoted" \)";
    const auto again = settings_from_json(to_json(settings));
    ASSERT_TRUE(again.ok()) << again.error();
    EXPECT_EQ(*again, settings);
  }
}

// from: text in the good JSON; to: what stands there instead.
struct Change {
  const char* from;
  const char* to;
  const char* named;
};
TEST(SettingsJson, MistakesAreNamed) {
  const std::string good = to_json(test_settings(Product::genoa));
  const Change changes[] = {
      {"{", "", "JSON object"},
      {"{", "[{", "JSON object"},
      {"\"format\": 1", "\"format\": 2", "format"},
      {"\"format\": 1", "\"format\": \"1\"", "format"},
      {"\"format\": 1,", "", "format"},
      {"\"Genoa\"", "\"Naples\"", "product"},
      {"\"Genoa\"", "7", "product"},
      {"\"Genoa\"", "\"Turin\"", "chip_id"},
      {"\"chip_id\": \"a0", "\"chip_id\": \"", "chip_id"},
      {"\"chip_id\": \"a0", "\"chip_id\": \"xy", "chip_id"},
      {"\"tcb\": \"bl=9", "\"tcb\": \"bl=999", "tcb"},
      {"\"tcb\": \"bl=9", "\"tcb\": \"bl=8", "committed_tcb: a component is above tcb"},
      {"\"committed_tcb\": \"bl=9", "\"committed_tcb\": \"bl=8", "reported_tcb: a component"},
      {"\"csp_id\": \"Test Cloud\"", "\"csp_id\": \"\"", "csp_id"},
      {"\"csp_id\": \"Test Cloud\"", "\"csp_id\": \"a\\nb\"", "csp_id"},
      {"\"csp_id\": \"Test Cloud\"", "\"csp_id\": null", "csp_id"},
      {"2026-01-01T", "yesterday", "valid_from"},
      {"\"csp_id\"", "\"cps_id\"", "unknown field 'cps_id'"}};
  for (const Change& change : changes) {
    std::string text = good;
    const usize at = text.find(change.from);
    ASSERT_NE(at, text.npos) << change.from;
    text.replace(at, std::string_view(change.from).size(), change.to);
    const auto parsed = settings_from_json(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_NE(parsed.error().find(change.named), std::string::npos) << parsed.error();
    EXPECT_EQ(parsed.error().find('\n'), std::string::npos) << parsed.error();
  }
  EXPECT_FALSE(settings_from_json("").ok());
  EXPECT_FALSE(settings_from_json(std::string(60000, '[')).ok());
  EXPECT_FALSE(settings_from_json("\xFF\xFE").ok());
}

TEST(SettingsCheck, MaskedChipIdIsNone) {
  Settings settings = test_settings(Product::milan);
  settings.chip_id = {};
  EXPECT_FALSE(check(settings).ok());
}

}  // namespace
}  // namespace softsnp::platform

#include "platform/product.hpp"

#include <algorithm>
#include <cctype>

namespace softsnp::platform {

namespace {

struct Row {
  psp::Product product;
  const char* name;
  const char* stepping;
  Serials serials;
  usize hardware_id_bytes;
};
// Firmware sheet 6; Genoa-B1 is what CPUID says of our Genoa (5.3).
constexpr Row rows[] = {
    {psp::Product::milan, "Milan", "Milan-B0", {0x010000, 0x010001, 0x010101}, 64},
    {psp::Product::genoa, "Genoa", "Genoa-B1", {0x020000, 0x020002, 0x020101}, 64},
    {psp::Product::turin, "Turin", "Turin", {0x030000, 0x030001, 0x030101}, 8},
};

const Row& row(psp::Product product) {
  return rows[static_cast<usize>(product)];
}
static_assert(rows[0].product == psp::Product{0} && rows[1].product == psp::Product{1} &&
              rows[2].product == psp::Product{2});

}  // namespace

std::string product_name(psp::Product product) {
  return row(product).name;
}
std::string stepping_name(psp::Product product) {
  return row(product).stepping;
}
Serials serials(psp::Product product) {
  return row(product).serials;
}
usize hardware_id_bytes(psp::Product product) {
  return row(product).hardware_id_bytes;
}

std::optional<psp::Product> parse_product(std::string_view text) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  for (const Row& candidate : rows) {
    const std::string_view name = candidate.name;
    if (std::equal(name.begin(), name.end(), text.begin(), text.end(), same)) {
      return candidate.product;
    }
  }
  return std::nullopt;
}

}  // namespace softsnp::platform

#include "platform/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "platform/encoding.hpp"
#include "platform/product.hpp"

namespace softsnp::platform {

namespace {

// A component by its short name; null if there is none.
u8* component(psp::TcbComponents& tcb, std::string_view name, psp::Product product) {
  if (name == "bl") {
    return &tcb.boot_loader;
  }
  if (name == "tee") {
    return &tcb.tee;
  }
  if (name == "snp") {
    return &tcb.snp;
  }
  if (name == "ucode") {
    return &tcb.microcode;
  }
  return name == "fmc" && product == psp::Product::turin ? &tcb.fmc : nullptr;
}

std::optional<u8> parse_level(std::string_view text) {
  u8 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

std::string tcb_form(psp::Product product) {
  return product == psp::Product::turin ? "bl=N,tee=N,snp=N,ucode=N,fmc=N with N from 0 to 255"
                                        : "bl=N,tee=N,snp=N,ucode=N with N from 0 to 255";
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char letter) { return letter >= ' ' && letter <= '~'; });
}

}  // namespace

Result<void, std::string> check(const Settings& settings) {
  const auto encoded = [&settings](const psp::TcbComponents& tcb) {
    return psp::encode_tcb(settings.product, tcb);
  };
  constexpr usize longest_csp_id = 64;
  if (settings.chip_id == psp::ChipId{}) {
    return Failure{std::string("chip_id: all zero means a masked one")};
  }
  if (!psp::no_component_above(encoded(settings.committed_tcb), encoded(settings.tcb))) {
    return Failure{std::string("committed_tcb: a component is above tcb")};
  }
  if (!psp::no_component_above(encoded(settings.reported_tcb), encoded(settings.committed_tcb))) {
    return Failure{std::string("reported_tcb: a component is above committed_tcb")};
  }
  if (settings.csp_id.empty() || settings.csp_id.size() > longest_csp_id ||
      !is_printable(settings.csp_id)) {
    return Failure{fmt::format("csp_id: expected 1 to {} ASCII characters", longest_csp_id)};
  }
  return {};
}

Result<psp::TcbComponents, std::string> parse_tcb(std::string_view text, psp::Product product) {
  const auto wrong = [&] {
    return Failure{fmt::format("expected {}, got '{}'", tcb_form(product), text)};
  };
  psp::TcbComponents tcb;
  std::vector<const u8*> seen;
  for (std::string_view rest = text; !rest.empty();) {
    const usize comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    const usize equals = item.find('=');
    u8* const target = component(tcb, item.substr(0, equals), product);
    const auto value = equals == item.npos ? std::nullopt : parse_level(item.substr(equals + 1));
    if (target == nullptr || !value || std::find(seen.begin(), seen.end(), target) != seen.end()) {
      return wrong();
    }
    *target = *value;
    seen.push_back(target);
  }
  const usize wanted = product == psp::Product::turin ? 5 : 4;
  if (seen.size() != wanted || text.back() == ',') {
    return wrong();
  }
  return tcb;
}

std::string tcb_text(const psp::TcbComponents& tcb, psp::Product product) {
  const std::string common =
      fmt::format("bl={},tee={},snp={},ucode={}", tcb.boot_loader, tcb.tee, tcb.snp, tcb.microcode);
  return product == psp::Product::turin ? fmt::format("{},fmc={}", common, tcb.fmc) : common;
}

Result<psp::ChipId, std::string> parse_chip_id(std::string_view text, psp::Product product) {
  const auto bytes = from_hex(text);
  const usize wanted = hardware_id_bytes(product);
  if (!bytes || bytes->size() != wanted) {
    return Failure{fmt::format("expected {} hexadecimal digits for {}, got '{}'", 2 * wanted,
                               product_name(product), text)};
  }
  psp::ChipId id{};
  std::copy(bytes->begin(), bytes->end(), id.begin());
  return id;
}

std::string chip_id_text(const Settings& settings) {
  return to_hex(std::span(settings.chip_id).first(hardware_id_bytes(settings.product)));
}

}  // namespace softsnp::platform

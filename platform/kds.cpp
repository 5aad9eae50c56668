#include "platform/kds.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "platform/files.hpp"
#include "platform/product.hpp"

namespace softsnp::platform {

namespace {

constexpr const char* pem_type = "application/x-pem-file";
constexpr const char* crl_type = "application/pkix-crl";
constexpr const char* certificate_type = "application/pkix-cert";

KdsAnswer refuse(int status, std::string why) {
  return {status, "text/plain", std::move(why) + "\n"};
}
KdsAnswer give(const char* type, const Der& der) {
  return {200, type, std::string(as_text(der))};
}

struct Parameter {
  const char* name;
  u8 psp::TcbComponents::*level;
};
constexpr Parameter parameters[] = {{"blSPL", &psp::TcbComponents::boot_loader},
                                    {"teeSPL", &psp::TcbComponents::tee},
                                    {"snpSPL", &psp::TcbComponents::snp},
                                    {"ucodeSPL", &psp::TcbComponents::microcode},
                                    {"fmcSPL", &psp::TcbComponents::fmc}};

// The text before the separator, removed from rest with it; all of rest if there is none.
std::string_view take_until(std::string_view& rest, char separator) {
  const usize at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == rest.npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

// What people see of something that was sent to us: short, and letters that terminals print.
std::string quoted(std::string_view sent) {
  constexpr usize most = 40;
  std::string text = "'";
  for (const char letter : sent.substr(0, most)) {
    text += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return text + (sent.size() > most ? "...'" : "'");
}

std::optional<u8> parse_level(std::string_view text) {
  constexpr usize most_digits = 3;  // snpguest pads to 2
  u8 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && text.size() <= most_digits ? std::optional(value) : std::nullopt;
}

using Tcb = Result<psp::TcbComponents, KdsAnswer>;

Tcb parse_query(std::string_view query, psp::Product product) {
  const usize count = std::size(parameters) - (product == psp::Product::turin ? 0 : 1);
  std::array<bool, std::size(parameters)> seen{};
  psp::TcbComponents tcb;
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string_view name = take_until(value, '=');
    usize index = 0;
    while (index < count && name != parameters[index].name) {
      ++index;
    }
    if (index == count) {
      return Failure{refuse(400, "unknown parameter " + quoted(name))};
    }
    const auto level = parse_level(value);
    if (!level || seen[index]) {
      return Failure{refuse(
          400, fmt::format("{}: expected one number from 0 to 255", parameters[index].name))};
    }
    tcb.*parameters[index].level = *level;
    seen[index] = true;
  }
  for (usize index = 0; index < count; ++index) {
    if (!seen[index]) {
      return Failure{refuse(400, fmt::format("{} is missing", parameters[index].name))};
    }
  }
  return tcb;
}

KdsAnswer answer_leaf(const Platform& platform, Leaf leaf, std::string_view query) {
  const Tcb tcb = parse_query(query, platform.settings.product);
  return tcb ? give(certificate_type, leaf_certificate(platform, leaf, *tcb)) : tcb.error();
}

KdsAnswer answer_chip(const Platform& platform, std::string_view id, std::string_view query) {
  const auto asked = parse_chip_id(id, platform.settings.product);
  if (!asked) {
    const usize digits = 2 * hardware_id_bytes(platform.settings.product);
    return refuse(
        400, fmt::format("expected a chip id of {} hexadecimal digits, cert_chain or crl", digits));
  }
  if (*asked != platform.settings.chip_id) {
    return refuse(404, "no such chip here");
  }
  return answer_leaf(platform, Leaf::vcek, query);
}

}  // namespace

std::string certificate_chain(const Platform& platform, Leaf leaf) {
  return to_pem(signer_certificate(platform, leaf), certificate_label) +
         to_pem(platform.certificates.ark, certificate_label);
}

KdsAnswer answer_kds(const Platform& platform, std::string_view target) {
  std::string_view query = target;
  std::string_view path = take_until(query, '?');
  const std::string_view root = take_until(path, '/');
  const std::string_view kind = take_until(path, '/');
  const std::string_view version = take_until(path, '/');
  const std::string_view product = take_until(path, '/');
  if (!root.empty() || (kind != "vcek" && kind != "vlek") || version != "v1") {
    return refuse(404, "expected a path below /vcek/v1/ or /vlek/v1/");
  }
  const std::string here = product_name(platform.settings.product);
  if (product != here) {
    return refuse(404, fmt::format("no chip of product {} here, only {}", quoted(product), here));
  }
  const Leaf leaf = kind == "vcek" ? Leaf::vcek : Leaf::vlek;
  if (path == "cert_chain") {
    return {200, pem_type, certificate_chain(platform, leaf)};
  }
  if (path == "crl") {
    return give(crl_type, platform.certificates.crl);
  }
  if (leaf == Leaf::vcek) {
    return answer_chip(platform, path, query);
  }
  return path == "cert" ? answer_leaf(platform, leaf, query)
                        : refuse(404, "expected cert, cert_chain or crl");
}

std::vector<MirrorFile> kds_mirror(const Platform& platform) {
  const std::string product = product_name(platform.settings.product);
  std::vector<MirrorFile> files;
  for (const Leaf leaf : {Leaf::vcek, Leaf::vlek}) {
    const bool vcek = leaf == Leaf::vcek;
    const std::string folder = (vcek ? "vcek/v1/" : "vlek/v1/") + product + "/";
    const auto& certificate = vcek ? platform.certificates.vcek : platform.certificates.vlek;
    files.push_back({folder + (vcek ? chip_id_text(platform.settings) : "cert"),
                     std::string(as_text(certificate))});
    files.push_back({folder + "cert_chain", certificate_chain(platform, leaf)});
    files.push_back({folder + "crl", std::string(as_text(platform.certificates.crl))});
  }
  return files;
}

}  // namespace softsnp::platform

// AMD's extensions of VCEK and VLEK. Firmware sheet 6.
#include <fmt/format.h>
#include <openssl/err.h>

#include <map>
#include <set>

#include "attest/certificate.hpp"
#include "attest/openssl.hpp"
#include "attest/report.hpp"

namespace softsnp::attest {
namespace {

using Text = OpensslHandle<ASN1_IA5STRING, ASN1_IA5STRING_free>;
using Integer = OpensslHandle<ASN1_INTEGER, ASN1_INTEGER_free>;
using Done = Result<void, std::string>;

constexpr std::string_view arc = "1.3.6.1.4.1.3704.1.";
constexpr usize chip_id_bytes = 64, turin_chip_id_bytes = 8;

// Numbers by their OID's suffix.
struct Numbers {
  std::map<std::string, u8> values;
  bool has(const std::string& suffix) const { return values.count(suffix) != 0; }
  u8 operator[](const std::string& suffix) const {
    const auto found = values.find(suffix);
    return found == values.end() ? u8{0} : found->second;
  }
};

struct NamedNumber {
  const char* suffix;
  const char* name;
};
constexpr NamedNumber required[] = {
    {"1", "structVersion"}, {"3.1", "blSPL"},    {"3.2", "teeSPL"},
    {"3.3", "snpSPL"},      {"3.8", "ucodeSPL"},
};
constexpr NamedNumber optional_numbers[] = {
    {"3.4", "spl4"}, {"3.5", "spl5"}, {"3.6", "spl6"}, {"3.7", "spl7"}, {"3.9", "fmcSPL"},
};

std::span<const u8> bytes_of(const ASN1_STRING* value) {
  return {ASN1_STRING_get0_data(value), static_cast<usize>(ASN1_STRING_length(value))};
}

std::optional<u8> parse_number(std::span<const u8> value) {
  const u8* at = value.data();
  const Integer integer(d2i_ASN1_INTEGER(nullptr, &at, static_cast<long>(value.size())));
  i64 number = 0;
  if (!integer || at != value.data() + value.size() ||
      ASN1_INTEGER_get_int64(&number, integer.get()) != 1 || number < 0 || number > 0xFF) {
    return std::nullopt;
  }
  return static_cast<u8>(number);
}

std::optional<std::string> parse_text(std::span<const u8> value) {
  const u8* at = value.data();
  const Text text(d2i_ASN1_IA5STRING(nullptr, &at, static_cast<long>(value.size())));
  if (!text || at != value.data() + value.size()) {
    return std::nullopt;
  }
  std::string out;
  for (const u8 letter : bytes_of(text.get())) {
    if (letter < 0x20 || letter > 0x7E) {  // it gets into messages
      return std::nullopt;
    }
    out += static_cast<char>(letter);
  }
  return out;
}

// The identifier itself, or newer: as an OCTET STRING.
std::vector<u8> parse_hardware_id(std::span<const u8> value) {
  for (const usize size : {chip_id_bytes, turin_chip_id_bytes}) {
    if (value.size() == size + 2 && value[0] == 0x04 && value[1] == size) {
      value = value.subspan(2);
    }
  }
  return {value.begin(), value.end()};
}

std::string oid_text(const ASN1_OBJECT* object) {
  char text[128] = {};
  const int length = OBJ_obj2txt(text, sizeof text, object, 1);
  return length > 0 && static_cast<usize>(length) < sizeof text ? text : "";
}

const char* number_name(const std::string& suffix) {
  for (const NamedNumber& number : required) {
    if (suffix == number.suffix) {
      return number.name;
    }
  }
  for (const NamedNumber& number : optional_numbers) {
    if (suffix == number.suffix) {
      return number.name;
    }
  }
  return nullptr;
}

Done read_one(const std::string& suffix, std::span<const u8> value, LeafExtensions& out,
              Numbers& numbers) {
  if (const char* const label = number_name(suffix)) {
    const auto number = parse_number(value);
    if (!number) {
      return Failure{fmt::format("{}: expected an INTEGER from 0 to 255", label)};
    }
    numbers.values[suffix] = *number;
    return {};
  }
  if (suffix == "4") {
    out.hardware_id = parse_hardware_id(value);
    return {};
  }
  if (suffix != "2" && suffix != "5") {
    return Failure{fmt::format("extension {}{} is not known", arc, suffix)};
  }
  const auto text = parse_text(value);
  if (!text || text->empty()) {
    return Failure{
        fmt::format("{}: expected an IA5String", suffix == "2" ? "productName" : "CSP_ID")};
  }
  (suffix == "2" ? out.product_name : out.csp_id) = *text;
  return {};
}

Done read_all(const Certificate& leaf, LeafExtensions& out, Numbers& numbers) {
  std::set<std::string> seen;
  for (int i = 0; i < X509_get_ext_count(leaf.handle()); ++i) {
    X509_EXTENSION* const extension = X509_get_ext(leaf.handle(), i);
    const std::string oid = oid_text(X509_EXTENSION_get_object(extension));
    if (!oid.starts_with(arc)) {
      if (X509_EXTENSION_get_critical(extension) != 0) {
        return Failure{fmt::format("critical extension {} is not known", oid)};
      }
      continue;
    }
    const std::string suffix = oid.substr(arc.size());
    if (!seen.insert(suffix).second) {
      return Failure{fmt::format("extension {} stands there twice", oid)};
    }
    Done done = read_one(suffix, bytes_of(X509_EXTENSION_get_data(extension)), out, numbers);
    if (!done) {
      return done;
    }
  }
  return {};
}

std::optional<psp::Product> product_of_name(std::string_view text) {
  for (const auto product : {psp::Product::milan, psp::Product::genoa, psp::Product::turin}) {
    const std::string_view wanted = name(product);
    if (text == wanted || (text.starts_with(wanted) && text[wanted.size()] == '-')) {
      return product;
    }
  }
  return std::nullopt;
}

Done check_owner(const LeafExtensions& out, CertificateRole role) {
  const usize expected = out.product == psp::Product::turin ? turin_chip_id_bytes : chip_id_bytes;
  if (role == CertificateRole::vlek) {
    if (out.csp_id.empty() || !out.hardware_id.empty()) {
      return Failure{std::string("expected CSP_ID and no hwID in a VLEK")};
    }
    return {};
  }
  if (!out.csp_id.empty() || out.hardware_id.size() != expected) {
    return Failure{fmt::format("hwID: expected {} bytes and no CSP_ID, got {}", expected,
                               out.hardware_id.size())};
  }
  return {};
}

// spl4 to spl7 are Milan's and Genoa's bytes 2 to 5.
psp::TcbVersion tcb_of(psp::Product product, const Numbers& numbers) {
  psp::TcbVersion tcb = psp::encode_tcb(
      product, {numbers["3.9"], numbers["3.1"], numbers["3.2"], numbers["3.3"], numbers["3.8"]});
  if (product != psp::Product::turin) {
    for (unsigned n = 0; n < 4; ++n) {
      tcb.bytes[2 + n] = numbers["3." + std::to_string(4 + n)];
    }
  }
  return tcb;
}

Done check_numbers(const Numbers& numbers, psp::Product product) {
  for (const NamedNumber& number : required) {
    if (!numbers.has(number.suffix)) {
      return Failure{fmt::format("{} is missing", number.name)};
    }
  }
  const bool turin = product == psp::Product::turin;
  if (numbers.has("3.9") != turin) {
    return Failure{
        fmt::format("fmcSPL {}", turin ? "is missing" : "does not go with this product")};
  }
  for (const char* const suffix : {"3.4", "3.5", "3.6", "3.7"}) {
    if (turin && numbers[suffix] != 0) {
      return Failure{fmt::format("{}: expected 0", number_name(suffix))};
    }
  }
  return {};
}

}  // namespace

Result<LeafExtensions, std::string> leaf_extensions(const Certificate& leaf, CertificateRole role) {
  LeafExtensions out;
  Numbers numbers;
  if (const Done done = read_all(leaf, out, numbers); !done) {
    return Failure{done.error()};
  }
  ERR_clear_error();
  const auto product = product_of_name(out.product_name);
  if (!product) {
    return Failure{
        fmt::format("productName: expected Milan, Genoa or Turin, got '{}'", out.product_name)};
  }
  out.product = *product;
  for (const Done& done : {check_numbers(numbers, out.product), check_owner(out, role)}) {
    if (!done) {
      return Failure{done.error()};
    }
  }
  out.tcb = tcb_of(out.product, numbers);
  return out;
}

}  // namespace softsnp::attest

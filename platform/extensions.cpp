#include "platform/extensions.hpp"

#include <openssl/x509v3.h>

#include <array>

namespace softsnp::platform {

namespace {

constexpr const char* oid_key_usage = "2.5.29.15";
constexpr const char* oid_subject_key_identifier = "2.5.29.14";
constexpr const char* oid_authority_key_identifier = "2.5.29.35";
constexpr const char* oid_basic_constraints = "2.5.29.19";
constexpr const char* oid_crl_distribution_points = "2.5.29.31";
constexpr const char* oid_crl_number = "2.5.29.20";

enum Tag : u8 {
  boolean = 0x01,
  integer = 0x02,
  bit_string = 0x03,
  octet_string = 0x04,
  ia5_string = 0x16,
  sequence = 0x30,
  context_0 = 0x80,
  context_6 = 0x86,
  constructed = 0x20,
};

// Everything here is shorter than 128 bytes but for the URL of nobody we know.
Der tagged(u8 tag, std::span<const u8> content) {
  require(content.size() < 128);
  Der der{tag, static_cast<u8>(content.size())};
  der.insert(der.end(), content.begin(), content.end());
  return der;
}
std::span<const u8> bytes_of(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}
Der join(std::initializer_list<Der> parts) {
  Der all;
  for (const Der& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Der unsigned_integer(u8 value) {
  const u8 bytes[] = {0, value};
  return tagged(integer, std::span(bytes).subspan(value < 0x80 ? 1 : 0));
}

// RFC 5280, 4.2.1.2, method 1.
std::array<u8, 20> key_identifier(EVP_PKEY& key) {
  const Certificate holder(required(X509_new()));
  require(X509_set_pubkey(holder.get(), &key) == 1);
  std::array<u8, 20> id;
  unsigned length = 0;
  require(X509_pubkey_digest(holder.get(), EVP_sha1(), id.data(), &length) == 1 &&
          length == id.size());
  return id;
}

constexpr const char* oid_struct_version = "1.3.6.1.4.1.3704.1.1";
constexpr const char* oid_product_name = "1.3.6.1.4.1.3704.1.2";
constexpr const char* oid_boot_loader = "1.3.6.1.4.1.3704.1.3.1";
constexpr const char* oid_tee = "1.3.6.1.4.1.3704.1.3.2";
constexpr const char* oid_snp = "1.3.6.1.4.1.3704.1.3.3";
constexpr const char* oid_spl4 = "1.3.6.1.4.1.3704.1.3.4";
constexpr const char* oid_spl5 = "1.3.6.1.4.1.3704.1.3.5";
constexpr const char* oid_spl6 = "1.3.6.1.4.1.3704.1.3.6";
constexpr const char* oid_spl7 = "1.3.6.1.4.1.3704.1.3.7";
constexpr const char* oid_microcode = "1.3.6.1.4.1.3704.1.3.8";
constexpr const char* oid_fmc = "1.3.6.1.4.1.3704.1.3.9";
constexpr const char* oid_hardware_id = "1.3.6.1.4.1.3704.1.4";
constexpr const char* oid_csp_id = "1.3.6.1.4.1.3704.1.5";

struct Level {
  const char* oid;
  u8 value;
};
// In the order of real certificates.
std::vector<Level> levels(psp::Product product, const psp::TcbComponents& tcb) {
  if (product == psp::Product::turin) {
    return {{oid_fmc, tcb.fmc}, {oid_boot_loader, tcb.boot_loader},
            {oid_tee, tcb.tee}, {oid_snp, tcb.snp},
            {oid_spl5, 0},      {oid_spl6, 0},
            {oid_spl7, 0},      {oid_microcode, tcb.microcode}};
  }
  return {{oid_boot_loader, tcb.boot_loader},
          {oid_tee, tcb.tee},
          {oid_spl4, 0},
          {oid_spl5, 0},
          {oid_spl6, 0},
          {oid_spl7, 0},
          {oid_snp, tcb.snp},
          {oid_microcode, tcb.microcode}};
}

}  // namespace

Extension extension(const char* oid, Critical critical, std::span<const u8> content) {
  const Object object(required(OBJ_txt2obj(oid, 1)));
  const OctetString octets(required(ASN1_OCTET_STRING_new()));
  require(ASN1_OCTET_STRING_set(octets.get(), content.data(), static_cast<int>(content.size())) ==
          1);
  return Extension(required(X509_EXTENSION_create_by_OBJ(
      nullptr, object.get(), critical == Critical::yes ? 1 : 0, octets.get())));
}

Extension key_usage(std::span<const u8> bits, Critical critical) {
  return extension(oid_key_usage, critical, tagged(bit_string, bits));
}

Extension subject_key_identifier(EVP_PKEY& key) {
  return extension(oid_subject_key_identifier, Critical::no,
                   tagged(octet_string, key_identifier(key)));
}

Extension authority_key_identifier(EVP_PKEY& key) {
  return extension(oid_authority_key_identifier, Critical::no,
                   tagged(sequence, tagged(context_0, key_identifier(key))));
}

Extension basic_constraints(int path_length) {
  const Der is_authority{boolean, 1, 0xFF};
  const Der limit = path_length < 0 ? Der() : unsigned_integer(static_cast<u8>(path_length));
  return extension(oid_basic_constraints, Critical::yes,
                   tagged(sequence, join({is_authority, limit})));
}

// One point, named in full by a URI.
Extension crl_distribution_point(const std::string& url) {
  constexpr u8 wrapper = context_0 | constructed;
  const Der name = tagged(context_6, bytes_of(url));
  const Der point = tagged(sequence, tagged(wrapper, tagged(wrapper, name)));
  return extension(oid_crl_distribution_points, Critical::no, tagged(sequence, point));
}

Extension crl_number(u32 number) {
  const Integer value(required(ASN1_INTEGER_new()));
  require(ASN1_INTEGER_set_uint64(value.get(), number) == 1);
  return extension(oid_crl_number, Critical::no, to_der(*value, i2d_ASN1_INTEGER));
}

std::vector<Extension> endorsement_extensions(const Endorsed& of) {
  std::vector<Extension> all;
  const auto add = [&all](const char* oid, std::span<const u8> content) {
    all.push_back(extension(oid, Critical::no, content));
  };
  add(oid_struct_version, unsigned_integer(of.product == psp::Product::turin ? 1 : 0));
  add(oid_product_name, tagged(ia5_string, bytes_of(of.product_name)));
  for (const Level& level : levels(of.product, of.tcb)) {
    add(level.oid, unsigned_integer(level.value));
  }
  if (of.hardware_id.empty()) {
    add(oid_csp_id, tagged(ia5_string, bytes_of(of.csp_id)));
  } else {
    add(oid_hardware_id, of.hardware_id);  // raw bytes, no DER: as in the real ones
  }
  return all;
}

}  // namespace softsnp::platform

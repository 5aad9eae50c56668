#include "platform/profile.hpp"

#include "platform/extensions.hpp"
#include "platform/product.hpp"

namespace softsnp::platform {

namespace {

// A VLEK's validity is unknown to the sheet, which guesses one year.
constexpr int authority_years = 25, vcek_years = 7, vlek_years = 1;

// BIT STRING contents: unused bits, then keyCertSign (5) and cRLSign (6). The second has one unused
// bit more than AMD says; a strict encoder would, but AMD does not.
constexpr u8 sign_certificates_and_lists[] = {1, 0x06};
constexpr u8 sign_certificates[] = {1, 0x04};

}  // namespace

std::string crl_url(psp::Product product, Leaf leaf) {
  const char* const kind = leaf == Leaf::vcek ? "vcek" : "vlek";
  return std::string("https://kdsintf.amd.com/") + kind + "/v1/" + product_name(product) + "/crl";
}

std::string Profile::root_name() const {
  return "ARK-" + product_name(settings_.product);
}
std::string Profile::signer_name(Leaf leaf) const {
  return (leaf == Leaf::vcek ? "SEV-" : "SEV-VLEK-") + product_name(settings_.product);
}

Der Profile::make(const CertificateFields& fields, EVP_PKEY& key, EVP_PKEY& issuer_key) const {
  return output_ == Output::certificate ? make_certificate(fields, key, issuer_key)
                                        : make_tbs_certificate(fields, key);
}

Der Profile::ark() const {
  CertificateFields fields;
  fields.serial = serials(settings_.product).ark;
  fields.subject = fields.issuer = root_name();
  fields.from = settings_.valid_from;
  fields.until = add_years(settings_.valid_from, authority_years);
  fields.extensions.push_back(key_usage(sign_certificates_and_lists, Critical::yes));
  fields.extensions.push_back(subject_key_identifier(*keys_.ark));
  fields.extensions.push_back(basic_constraints(-1));
  fields.extensions.push_back(crl_distribution_point(crl_url(settings_.product, Leaf::vcek)));
  return make(fields, *keys_.ark, *keys_.ark);
}

Der Profile::signer(Leaf leaf) const {
  const Serials numbers = serials(settings_.product);
  EVP_PKEY& key = leaf == Leaf::vcek ? *keys_.ask : *keys_.asvk;
  CertificateFields fields;
  fields.serial = leaf == Leaf::vcek ? numbers.ask : numbers.asvk;
  fields.subject = signer_name(leaf);
  fields.issuer = root_name();
  fields.from = settings_.valid_from;
  fields.until = add_years(settings_.valid_from, authority_years);
  fields.extensions.push_back(subject_key_identifier(key));
  fields.extensions.push_back(authority_key_identifier(*keys_.ark));
  fields.extensions.push_back(basic_constraints(0));
  fields.extensions.push_back(key_usage(sign_certificates, Critical::yes));
  fields.extensions.push_back(crl_distribution_point(crl_url(settings_.product, leaf)));
  return make(fields, key, *keys_.ark);
}

Der Profile::ask() const {
  return signer(Leaf::vcek);
}
Der Profile::asvk() const {
  return signer(Leaf::vlek);
}

// How long AMD's lists live is not in the sheet; ours lives as long as the root, because nobody
// comes to renew it.
Der Profile::crl(std::vector<u32> revoked) const {
  CrlFields fields;
  fields.issuer = root_name();
  fields.from = settings_.valid_from;
  fields.until = add_years(settings_.valid_from, authority_years);
  fields.revoked = std::move(revoked);
  fields.extensions.push_back(authority_key_identifier(*keys_.ark));
  fields.extensions.push_back(crl_number(static_cast<u32>(fields.revoked.size()) + 1));
  return make_crl(fields, *keys_.ark);
}

Der Profile::leaf(Leaf leaf, const psp::TcbComponents& tcb, EVP_PKEY& key) const {
  const bool vcek = leaf == Leaf::vcek;
  const psp::Product product = settings_.product;
  CertificateFields fields;
  fields.subject = vcek ? "SEV-VCEK" : "SEV-VLEK";
  fields.issuer = signer_name(leaf);
  fields.from = settings_.valid_from;
  fields.until = add_years(settings_.valid_from, vcek ? vcek_years : vlek_years);
  fields.trailer = product == psp::Product::turin ? Trailer::omitted : Trailer::written;
  Endorsed endorsed;
  endorsed.product = product;
  endorsed.tcb = tcb;
  endorsed.product_name = vcek ? stepping_name(product) : product_name(product);
  if (vcek) {
    endorsed.hardware_id = std::span(settings_.chip_id).first(hardware_id_bytes(product));
  } else {
    endorsed.csp_id = settings_.csp_id;
  }
  fields.extensions = endorsement_extensions(endorsed);
  return make(fields, key, vcek ? *keys_.ask : *keys_.asvk);
}

}  // namespace softsnp::platform

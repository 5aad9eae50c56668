// What stands in the extensions of AMD's certificates. Firmware sheet 6.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/psp/tcb_version.hpp"
#include "platform/encoding.hpp"
#include "platform/openssl_objects.hpp"

namespace softsnp::platform {

enum class Critical : u8 { no, yes };

// content: DER, as it stands inside extnValue.
Extension extension(const char* oid, Critical critical, std::span<const u8> content);

// Of authorities, each in its place in AMD's order.
Extension key_usage(std::span<const u8> bits, Critical critical);
Extension subject_key_identifier(EVP_PKEY& key);
Extension authority_key_identifier(EVP_PKEY& key);
// path_length: none if negative.
Extension basic_constraints(int path_length);
Extension crl_distribution_point(const std::string& url);
Extension crl_number(u32 number);

// Of a VCEK (with the hwID) or a VLEK (with the CSP_ID), in the order of AMD's.
struct Endorsed {
  psp::Product product{};
  psp::TcbComponents tcb;
  std::string product_name;
  std::span<const u8> hardware_id;  // empty: VLEK
  std::string csp_id;
};
std::vector<Extension> endorsement_extensions(const Endorsed& of);

}  // namespace softsnp::platform

// The report against its leaf: signature, TCB, chip, product. Firmware sheet 5.1 to 5.3, 6.
#include <fmt/format.h>

#include <algorithm>

#include "attest/ecdsa.hpp"
#include "attest/openssl.hpp"
#include "attest/text.hpp"
#include "attest/verify.hpp"

namespace softsnp::attest {
namespace {

using psp::AttestationReport;
using Extensions = Result<LeafExtensions, std::string>;
using Problems = std::vector<std::string>;

void check_signing_key(Verdict& verdict, const AttestationReport& report, const Chain& chain) {
  const u32 key = psp::signer_info::signing_key(report.signer_info);
  const char* const leaf = name(chain.leaf_role);
  if (key > static_cast<u32>(psp::SigningKey::vlek)) {
    verdict.fail(check::signing_key,
                 fmt::format("SIGNING_KEY is {}: the report is not signed", key));
    return;
  }
  const auto wanted = key == static_cast<u32>(psp::SigningKey::vlek) ? CertificateRole::vlek
                                                                     : CertificateRole::vcek;
  if (wanted != chain.leaf_role) {
    verdict.fail(check::signing_key, fmt::format("SIGNING_KEY is {} ({}), the certificate is a {}",
                                                 key, name(wanted), leaf));
    return;
  }
  verdict.pass(check::signing_key, fmt::format("the report names a {}", leaf));
}

const char* component_name(TcbLayout layout, unsigned byte) {
  static constexpr const char* milan[] = {"boot loader", "TEE",  "spl4", "spl5",
                                          "spl6",        "spl7", "SNP",  "microcode"};
  static constexpr const char* turin[] = {"FMC",    "boot loader", "TEE",    "SNP",
                                          "byte 4", "byte 5",      "byte 6", "microcode"};
  return layout == TcbLayout::turin ? turin[byte] : milan[byte];
}

void check_tcb(Verdict& verdict, const AttestationReport& report, const LeafExtensions& leaf) {
  const TcbLayout layout = tcb_layout(leaf.product);
  Problems problems;
  for (unsigned n = 0; n < sizeof leaf.tcb.bytes; ++n) {
    const unsigned reported = report.reported_tcb.bytes[n];
    const unsigned certified = leaf.tcb.bytes[n];
    if (reported != certified) {
      problems.push_back(fmt::format("REPORTED_TCB {} is {}, the certificate's is {}",
                                     component_name(layout, n), reported, certified));
    }
  }
  verdict.judge(check::tcb, problems, "REPORTED_TCB is the certificate's");
}

void check_chip(Verdict& verdict, const AttestationReport& report, const LeafExtensions& leaf,
                CertificateRole role) {
  if (role == CertificateRole::vlek) {
    verdict.skip(check::chip_id, fmt::format("a VLEK names no chip (CSP {})", leaf.csp_id));
    return;
  }
  if (is_zero(report.chip_id)) {
    verdict.skip(check::chip_id, "the report does not name its chip (MASK_CHIP_ID)");
    return;
  }
  std::vector<u8> expected = leaf.hardware_id;
  expected.resize(sizeof report.chip_id);
  if (!std::equal(expected.begin(), expected.end(), report.chip_id)) {
    verdict.fail(check::chip_id, fmt::format("CHIP_ID is {}, the certificate's hwID is {}",
                                             hex_text(report.chip_id), hex_text(leaf.hardware_id)));
    return;
  }
  verdict.pass(check::chip_id, "CHIP_ID is the certificate's hwID");
}

void check_product(Verdict& verdict, const AttestationReport& report, const LeafExtensions& leaf,
                   const Chain& chain) {
  Problems problems;
  if (chain.ask.product() != leaf.product) {
    problems.push_back(fmt::format("productName is {}, its issuer is {}", leaf.product_name,
                                   chain.ask.common_name()));
  }
  const auto product = product_of(report);
  const bool named = report.version >= static_cast<u32>(psp::ReportVersion::v3);
  if (named && !product) {
    problems.push_back(
        fmt::format("the report's processor (family {:#x}, model {:#x}) is none that "
                    "is known",
                    report.cpuid_family, report.cpuid_model));
  } else if (product && *product != leaf.product) {
    problems.push_back(fmt::format("the report is from a {}, productName is {}", name(*product),
                                   leaf.product_name));
  } else if (tcb_layout(report) == TcbLayout::milan_genoa && leaf.product == psp::Product::turin) {
    problems.emplace_back("CHIP_ID has 64 bytes, which Turin's has not");
  }
  verdict.judge(check::product, problems, leaf.product_name);
}

// No security version is above that of the firmware that runs.
void check_tcb_order(Verdict& verdict, const AttestationReport& report) {
  Problems problems;
  if (!psp::no_component_above(report.reported_tcb, report.current_tcb)) {
    problems.emplace_back("REPORTED_TCB is above CURRENT_TCB");
  }
  if (!psp::no_component_above(report.committed_tcb, report.current_tcb)) {
    problems.emplace_back("COMMITTED_TCB is above CURRENT_TCB");
  }
  verdict.judge(check::tcb_order, problems, "reported and committed TCB are not above the current");
}

}  // namespace

void check_signature(Verdict& verdict, const AttestationReport& report, const Chain& chain) {
  check_signing_key(verdict, report, chain);
  EVP_PKEY* const key = chain.leaf.key();
  if (key == nullptr || EVP_PKEY_is_a(key, "EC") != 1) {
    verdict.skip(check::signature, "the leaf has no key for ECDSA");
  } else if (!verify_ecdsa(key, signed_part(report), report.signature)) {
    verdict.fail(check::signature,
                 fmt::format("ECDSA over bytes 000 to 29F does not verify with the key in {}",
                             chain.leaf.file()));
  } else {
    verdict.pass(check::signature, "ECDSA P-384 over bytes 000 to 29F");
  }
}

TcbLayout check_leaf(Verdict& verdict, const AttestationReport& report, const Chain& chain) {
  TcbLayout layout = tcb_layout(report);
  const Extensions extensions = leaf_extensions(chain.leaf, chain.leaf_role);
  if (!extensions) {
    verdict.fail(check::extensions, extensions.error());
    for (const std::string_view name : {check::tcb, check::chip_id, check::product}) {
      verdict.skip(name, "the leaf's extensions cannot be read");
    }
  } else {
    verdict.pass(check::extensions, fmt::format("{}, hwID or CSP_ID and TCB as AMD writes them",
                                                extensions->product_name));
    check_tcb(verdict, report, *extensions);
    check_chip(verdict, report, *extensions, chain.leaf_role);
    check_product(verdict, report, *extensions, chain);
    layout = layout == TcbLayout::unknown ? tcb_layout(extensions->product) : layout;
  }
  check_tcb_order(verdict, report);
  return layout;
}

}  // namespace softsnp::attest

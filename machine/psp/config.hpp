// What distinguishes one secure processor from another: seed, chip, firmware version, TCB.
#pragma once

#include <array>
#include <optional>

#include "arch/psp/attestation_report.hpp"
#include "arch/psp/page_info.hpp"
#include "arch/psp/tcb_version.hpp"

namespace softsnp::psp {

struct FirmwareVersion {
  u8 major = 1;
  u8 minor = 55;
  u8 build = 25;
  constexpr u16 abi() const { return static_cast<u16>(major << 8 | minor); }
  friend constexpr bool operator==(const FirmwareVersion&, const FirmwareVersion&) = default;
};

// Security version numbers of a plausible, recent firmware release of each product. Only their
// places in TCB_VERSION are architecture (firmware sheet 5.2).
constexpr TcbComponents default_tcb(Product product) {
  switch (product) {
    case Product::milan:
      return {0, 0x04, 0x00, 0x18, 0xDB};
    case Product::genoa:
      return {0, 0x0A, 0x00, 0x17, 0x54};
    case Product::turin:
      return {0x01, 0x01, 0x01, 0x04, 0x51};
  }
  return {};
}

// What the VCEK comes from. Nobody but the chip and its maker knows it.
using ChipSecret = std::array<u8, 48>;
using ChipId = std::array<u8, 64>;

// What makes a part this one and not another of its product. Whatever is absent: derived from the
// run's seed, or as the product's default.
struct ProcessorIdentity {
  // The version that all public verifiers take from a Genoa-B1 (firmware sheet 5.3).
  ReportVersion report_version = ReportVersion::v3;
  std::optional<TcbComponents> tcb{};
  std::optional<TcbComponents> committed_tcb{};  // else the same; SNP_COMMIT moves it there
  std::optional<ChipSecret> chip_secret{};
  std::optional<ChipId> chip_id{};
};

struct PspConfig {
  u64 seed = 0;  // all keys, identities and nonces derive from it
  Product product = Product::genoa;
  FirmwareVersion version{};  // the behavioural baseline of the firmware sheet
  TcbComponents tcb = default_tcb(Product::genoa);
  std::optional<TcbComponents> committed_tcb{};  // without one: tcb
  ReportVersion report_version = ReportVersion::v3;
  u64 mitigation_vector = 0;  // in reports from version 5
  // POLICY.PAGE_SWAP_DISABLE is known, as in the firmware of 2025 and later; 1.55.25 refuses it.
  bool page_swap_disable = true;
  // Without one: derived from the seed.
  std::optional<ChipSecret> chip_secret{};
  std::optional<ChipId> chip_id{};
  // The legacy ARK this firmware trusts: SHA-384 of its exponent and modulus (sev_amd_chain.hpp).
  // Without one, no guest whose policy demands an AMD platform can be sent.
  std::optional<Digest> sev_ark{};
};

inline PspConfig make_config(u64 seed, Product product, const ProcessorIdentity& identity) {
  PspConfig config;
  config.seed = seed;
  config.product = product;
  config.tcb = identity.tcb.value_or(default_tcb(product));
  config.committed_tcb = identity.committed_tcb;
  config.report_version = identity.report_version;
  config.chip_secret = identity.chip_secret;
  config.chip_id = identity.chip_id;
  return config;
}

}  // namespace softsnp::psp

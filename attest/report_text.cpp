#include "attest/report_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "arch/psp/policy.hpp"
#include "attest/text.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

using Json = nlohmann::ordered_json;
using psp::AttestationReport;

struct NamedBit {
  const char* name;
  u64 mask;
};
constexpr NamedBit policy_bits[] = {
    {"smt_allowed", psp::policy::smt},
    {"migration_agent_allowed", psp::policy::migrate_ma},
    {"debug_allowed", psp::policy::debug},
    {"single_socket", psp::policy::single_socket},
    {"cxl_allowed", psp::policy::cxl_allow},
    {"mem_aes_256_xts", psp::policy::mem_aes_256_xts},
    {"rapl_disabled", psp::policy::rapl_dis},
    {"ciphertext_hiding_dram", psp::policy::ciphertext_hiding_dram},
    {"page_swap_disabled", psp::policy::page_swap_disable},
};
constexpr NamedBit platform_bits[] = {
    {"smt_en", psp::platform_info::smt_en},
    {"tsme_en", psp::platform_info::tsme_en},
    {"ecc_en", psp::platform_info::ecc_en},
    {"rapl_dis", psp::platform_info::rapl_dis},
    {"ciphertext_hiding_dram_en", psp::platform_info::ciphertext_hiding_dram_en},
    {"alias_check_complete", psp::platform_info::alias_check_complete},
    {"tio_en", psp::platform_info::tio_en},
};

std::string hex(u64 value) {
  return fmt::format("{:#x}", value);
}

Json bits_json(Json start, u64 value, std::span<const NamedBit> bits) {
  for (const NamedBit& bit : bits) {
    start[bit.name] = (value & bit.mask) != 0;
  }
  return start;
}

Json policy_json(u64 policy) {
  return bits_json(
      {{"value", hex(policy)}, {"abi_major", policy >> 8 & 0xFF}, {"abi_minor", policy & 0xFF}},
      policy, policy_bits);
}

Json tcb_json(const psp::TcbVersion& tcb, TcbLayout layout) {
  Json json = {{"value", fmt::format("{:#018x}", load_le<u64>(tcb.bytes))}};
  if (layout == TcbLayout::unknown) {
    return json;
  }
  const bool turin = layout == TcbLayout::turin;
  const auto parts = psp::decode_tcb(turin ? psp::Product::turin : psp::Product::genoa, tcb);
  if (turin) {
    json["fmc"] = parts.fmc;
  }
  json["boot_loader"] = parts.boot_loader;
  json["tee"] = parts.tee;
  json["snp"] = parts.snp;
  json["microcode"] = parts.microcode;
  return json;
}

const char* layout_name(TcbLayout layout) {
  switch (layout) {
    case TcbLayout::milan_genoa:
      return "Milan and Genoa";
    case TcbLayout::turin:
      return "Turin";
    case TcbLayout::unknown:
      break;
  }
  return "unknown";
}

Json signer_json(u32 info) {
  const u32 key = psp::signer_info::signing_key(info);
  const char* const name = key == 0 ? "VCEK" : key == 1 ? "VLEK" : key == 7 ? "none" : "unknown";
  return {{"value", hex(info)},
          {"author_key_en", (info & psp::signer_info::author_key_en) != 0},
          {"mask_chip_key", (info & psp::signer_info::mask_chip_key) != 0},
          {"signing_key", name}};
}

Json firmware_json(const psp::ReportedFirmware& firmware) {
  return {{"major", firmware.major}, {"minor", firmware.minor}, {"build", firmware.build}};
}

Json cpuid_json(const AttestationReport& report) {
  if (report.version < static_cast<u32>(psp::ReportVersion::v3)) {
    return nullptr;
  }
  return {{"family", hex(report.cpuid_family)},
          {"model", hex(report.cpuid_model)},
          {"stepping", report.cpuid_stepping}};
}

// As a big-endian number, which is how other tools print it.
std::string component_text(std::span<const u8> little_endian) {
  std::vector<u8> bytes(little_endian.rbegin() + 0x18, little_endian.rend());
  return hex_text(bytes);
}

const char* form_name(ReportForm form) {
  switch (form) {
    case ReportForm::raw:
      return "raw";
    case ReportForm::message:
      return "MSG_REPORT_RSP";
    case ReportForm::ioctl:
      break;
  }
  return "SNP_GET_REPORT";
}

void add_identity(Json& json, const AttestationReport& report) {
  json["guest_svn"] = report.guest_svn;
  json["policy"] = policy_json(report.policy);
  json["family_id"] = hex_text(report.family_id);
  json["image_id"] = hex_text(report.image_id);
  json["vmpl"] = report.vmpl;
  json["signature_algorithm"] = {
      {"value", report.signature_algorithm},
      {"name", report.signature_algorithm == AttestationReport::algorithm_ecdsa_p384_sha384
                   ? "ECDSA P-384 with SHA-384"
                   : "unknown"}};
}

void add_guest(Json& json, const AttestationReport& report) {
  json["report_data"] = hex_text(report.report_data);
  json["measurement"] = hex_text(report.measurement.bytes);
  json["host_data"] = hex_text(report.host_data);
  json["id_key_digest"] = hex_text(report.id_key_digest.bytes);
  json["author_key_digest"] = hex_text(report.author_key_digest.bytes);
  json["report_id"] = hex_text(report.report_id);
  json["report_id_ma"] = hex_text(report.report_id_ma);
}

void add_chip(Json& json, const AttestationReport& report) {
  const auto product = product_of(report);
  json["cpuid"] = cpuid_json(report);
  json["product"] = product ? Json(name(*product)) : Json(nullptr);
  json["tcb_layout"] = layout_name(tcb_layout(report));
  json["chip_id"] = hex_text(report.chip_id);
}

void add_firmware(Json& json, const AttestationReport& report) {
  const TcbLayout layout = tcb_layout(report);
  json["committed_tcb"] = tcb_json(report.committed_tcb, layout);
  json["current_version"] = firmware_json(report.current);
  json["committed_version"] = firmware_json(report.committed);
  json["launch_tcb"] = tcb_json(report.launch_tcb, layout);
  if (report.version >= static_cast<u32>(psp::ReportVersion::v5)) {
    json["launch_mitigation_vector"] = hex(report.launch_mitigation_vector);
    json["current_mitigation_vector"] = hex(report.current_mitigation_vector);
  }
}

// In the order of the layout.
Json describe(const Report& file) {
  const AttestationReport& report = file.fields;
  const TcbLayout layout = tcb_layout(report);
  Json json;
  json["form"] = form_name(file.form);
  json["version"] = report.version;
  add_identity(json, report);
  json["current_tcb"] = tcb_json(report.current_tcb, layout);
  json["platform_info"] =
      bits_json({{"value", hex(report.platform_info)}}, report.platform_info, platform_bits);
  json["signer_info"] = signer_json(report.signer_info);
  add_guest(json, report);
  json["reported_tcb"] = tcb_json(report.reported_tcb, layout);
  add_chip(json, report);
  add_firmware(json, report);
  json["signature"] = {{"r", component_text(report.signature.r)},
                       {"s", component_text(report.signature.s)}};
  json["format_problems"] = format_problems(report);
  return json;
}

std::string scalar_text(const Json& value) {
  if (value.is_boolean()) {
    return value.get<bool>() ? "yes" : "no";
  }
  if (value.is_null()) {
    return "not known";
  }
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void add_line(std::string& text, usize indent, const std::string& name, const std::string& value) {
  constexpr usize column = 28;
  const usize width = value.empty() ? 0 : column - indent;
  text += fmt::format("{:{}}{:<{}}{}\n", "", indent, name, width, value);
}

}  // namespace

std::string report_json(const Report& report) {
  return describe(report).dump(2) + '\n';
}

std::string report_text(const Report& report) {
  std::string text;
  const Json json = describe(report);
  for (const auto& [name, value] : json.items()) {
    if (value.is_array()) {
      add_line(text, 0, name, value.empty() ? "none" : std::to_string(value.size()));
      for (const Json& line : value) {
        text += "  " + line.get<std::string>() + '\n';
      }
    } else if (value.is_object()) {
      add_line(text, 0, name, value.contains("value") ? scalar_text(value["value"]) : "");
      for (const auto& [inner, part] : value.items()) {
        if (inner != "value") {
          add_line(text, 2, inner, scalar_text(part));
        }
      }
    } else {
      add_line(text, 0, name, scalar_text(value));
    }
  }
  return text;
}

}  // namespace softsnp::attest

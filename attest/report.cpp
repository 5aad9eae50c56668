#include "attest/report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "arch/psp/guest_message.hpp"
#include "base/bytes.hpp"

namespace softsnp::attest {
namespace {

using psp::AttestationReport;

constexpr usize ioctl_bytes = 4000;  // the data of Linux' struct snp_report_resp
constexpr usize header_bytes = sizeof(psp::ReportResponse) - sizeof(AttestationReport);

Failure<std::string> fail(const std::string& name, const std::string& problem) {
  return Failure{name + ": " + problem};
}

// The message around the report, whose status is its first field.
Result<void, std::string> check_message(const std::string& name, std::span<const u8> file) {
  const auto status = load_le<u32>(file.data());
  if (status != 0) {
    return fail(name,
                fmt::format("STATUS: the firmware refused the report (status {:#x})", status));
  }
  const auto size = load_le<u32>(file.data() + 4);
  if (size != sizeof(AttestationReport)) {
    return fail(name, fmt::format("REPORT_SIZE: expected 0x4a0, got {:#x}", size));
  }
  if (!is_zero(file.subspan(8, header_bytes - 8))) {
    return fail(name, "bytes 08 to 1F of the message: expected zero");
  }
  if (!is_zero(file.subspan(sizeof(psp::ReportResponse)))) {
    return fail(name, "bytes after the report: expected zero");
  }
  return {};
}

Result<Report, std::string> read_fields(const std::string& name, std::span<const u8> bytes,
                                        ReportForm form) {
  Report report{load_le<AttestationReport>(bytes.data()), form};
  const u32 version = report.fields.version;
  if (version < first_report_version || version > last_report_version) {
    return fail(name, fmt::format("VERSION: expected {} to {}, got {}", first_report_version,
                                  last_report_version, version));
  }
  return report;
}

std::string size_problem(usize size) {
  return fmt::format("{}: expected {} bytes (or {} or {} with the message around it), got {}",
                     size < sizeof(AttestationReport) ? "truncated" : "trailing bytes",
                     sizeof(AttestationReport), sizeof(psp::ReportResponse), ioctl_bytes, size);
}

constexpr bool in(u8 value, u8 first, u8 last) {
  return first <= value && value <= last;
}

}  // namespace

bool is_zero(std::span<const u8> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](u8 byte) { return byte == 0; });
}

std::span<const u8> signed_part(const AttestationReport& report) {
  return {reinterpret_cast<const u8*>(&report), AttestationReport::signed_bytes};
}

Result<Report, std::string> read_report(const std::string& name, std::span<const u8> file) {
  switch (file.size()) {
    case sizeof(AttestationReport):
      return read_fields(name, file, ReportForm::raw);
    case sizeof(psp::ReportResponse):
    case ioctl_bytes:
      if (const auto checked = check_message(name, file); !checked) {
        return Failure{checked.error()};
      }
      return read_fields(name, file.subspan(header_bytes),
                         file.size() == ioctl_bytes ? ReportForm::ioctl : ReportForm::message);
    default:
      return fail(name, size_problem(file.size()));
  }
}

std::optional<psp::Product> product_of(const AttestationReport& report) {
  if (report.version < static_cast<u32>(psp::ReportVersion::v3)) {
    return tcb_layout(report) == TcbLayout::turin ? std::optional(psp::Product::turin)
                                                  : std::nullopt;
  }
  const u8 model = report.cpuid_model;
  if (report.cpuid_family == 0x19 && model <= 0x0F) {
    return psp::Product::milan;
  }
  if (report.cpuid_family == 0x19 && (in(model, 0x10, 0x1F) || in(model, 0xA0, 0xAF))) {
    return psp::Product::genoa;
  }
  return report.cpuid_family == 0x1A && model <= 0x11 ? std::optional(psp::Product::turin)
                                                      : std::nullopt;
}

TcbLayout tcb_layout(psp::Product product) {
  return product == psp::Product::turin ? TcbLayout::turin : TcbLayout::milan_genoa;
}

TcbLayout tcb_layout(const AttestationReport& report) {
  if (report.version >= static_cast<u32>(psp::ReportVersion::v3)) {
    const auto product = product_of(report);
    return product ? tcb_layout(*product) : TcbLayout::unknown;
  }
  if (is_zero(report.chip_id)) {
    return TcbLayout::unknown;
  }
  return is_zero(std::span(report.chip_id).subspan(8)) ? TcbLayout::turin : TcbLayout::milan_genoa;
}

std::string_view name(psp::Product product) {
  switch (product) {
    case psp::Product::milan:
      return "Milan";
    case psp::Product::genoa:
      return "Genoa";
    case psp::Product::turin:
      break;
  }
  return "Turin";
}

}  // namespace softsnp::attest

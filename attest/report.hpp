// An attestation report as a file holds it. Firmware sheet 5.1 to 5.3.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/psp/attestation_report.hpp"
#include "base/result.hpp"

namespace softsnp::attest {

// raw: 0x4A0 bytes. message: the firmware's MSG_REPORT_RSP around it (0x4C0 bytes), or the buffer
// of the SNP_GET_REPORT ioctl, which is that with zeros behind (4000 bytes).
enum class ReportForm : u8 { raw, message, ioctl };

struct Report {
  psp::AttestationReport fields{};
  ReportForm form = ReportForm::raw;
};

inline constexpr u32 first_report_version = 2, last_report_version = 5;

// One line if the file is no report of a known version.
Result<Report, std::string> read_report(const std::string& name, std::span<const u8> file);

// What the report alone says of the processor. Version 2 does not name it, and Milan and Genoa then
// look alike.
enum class TcbLayout : u8 { unknown, milan_genoa, turin };
std::optional<psp::Product> product_of(const psp::AttestationReport& report);
TcbLayout tcb_layout(const psp::AttestationReport& report);
TcbLayout tcb_layout(psp::Product product);
std::string_view name(psp::Product product);  // as certificates spell it

// Everything that must be zero, or one, and is not: a line each. A report with such bits is
// refused: a parser that does not know them cannot say what they mean (sheet 5.3).
std::vector<std::string> format_problems(const psp::AttestationReport& report);

bool is_zero(std::span<const u8> bytes);
std::span<const u8> signed_part(const psp::AttestationReport& report);

}  // namespace softsnp::attest

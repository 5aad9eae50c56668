// What a platform is, secrets apart: the contents of platform.json.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "machine/psp/config.hpp"
#include "platform/calendar.hpp"

namespace softsnp::platform {

struct Settings {
  psp::Product product = psp::Product::genoa;
  psp::ChipId chip_id{};
  psp::TcbComponents tcb;  // of the firmware that runs
  psp::TcbComponents committed_tcb;
  psp::TcbComponents reported_tcb;
  std::string csp_id = "softsnp";
  Seconds valid_from = 0;  // of all certificates
  friend bool operator==(const Settings&, const Settings&) = default;
};

// One line about what does not fit together; names the field.
Result<void, std::string> check(const Settings& settings);

// bl=10,tee=0,snp=23,ucode=84, for Turin also fmc=1; in any order, each once.
Result<psp::TcbComponents, std::string> parse_tcb(std::string_view text, psp::Product product);
std::string tcb_text(const psp::TcbComponents& tcb, psp::Product product);

// As many hexadecimal digits as the product's ids have.
Result<psp::ChipId, std::string> parse_chip_id(std::string_view text, psp::Product product);
std::string chip_id_text(const Settings& settings);

std::string to_json(const Settings& settings);
// Errors name the field and what was expected.
Result<Settings, std::string> settings_from_json(std::string_view text);

}  // namespace softsnp::platform

#include "tests/end_to_end/guest_lines.hpp"

#include <fmt/format.h>

#include <sstream>

#include "arch/psp/guest_message.hpp"
#include "base/bytes.hpp"

namespace softsnp::end_to_end {
namespace {

const GuestCall nothing;

GuestCall parse(std::istringstream& words) {
  GuestCall call;
  for (std::string word; words >> word;) {
    const auto at = word.find('=');
    if (at != std::string::npos) {
      call.values[word.substr(0, at)] = word.substr(at + 1);
    }
  }
  const auto number = [&call](const char* name) {
    const auto found = call.values.find(name);
    return found == call.values.end() ? u64{0} : std::strtoull(found->second.c_str(), nullptr, 0);
  };
  if (call.values.contains("result")) {
    call.result = static_cast<int>(number("result"));
  }
  call.error = static_cast<int>(number("errno"));
  call.exit_info2 = number("exitinfo2");
  return call;
}

const GuestCall& find(const std::map<std::string, GuestCall>& calls, const std::string& label) {
  const auto found = calls.find(label);
  return found == calls.end() ? nothing : found->second;
}

}  // namespace

std::vector<u8> GuestCall::bytes(const std::string& name) const {
  std::vector<u8> decoded;
  const auto found = values.find(name);
  if (found != values.end()) {
    for (usize i = 0; i + 1 < found->second.size(); i += 2) {
      decoded.push_back(static_cast<u8>(std::stoul(found->second.substr(i, 2), nullptr, 16)));
    }
  }
  return decoded;
}

std::optional<u32> GuestCall::status() const {
  const std::vector<u8> response = bytes("response");
  if (response.size() < sizeof(u32)) {
    return std::nullopt;
  }
  return load_le<u32>(response.data());
}

std::optional<psp::AttestationReport> GuestCall::report() const {
  const std::vector<u8> response = bytes("response");
  if (response.size() != sizeof(psp::ReportResponse)) {
    return std::nullopt;
  }
  return load_le<psp::ReportResponse>(response.data()).report;
}

std::string GuestCall::text() const {
  if (result == -2) {
    return "no call";
  }
  if (ok()) {
    return fmt::format("ok, status {:#x}", status().value_or(~u32{0}));
  }
  return fmt::format("errno {}, exitinfo2 {:#x}", error, exit_info2);
}

GuestLines::GuestLines(const std::string& console) {
  std::istringstream lines(console);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, label;
    words >> kind >> label;
    if (kind == "guest-request") {
      complete_ = complete_ || label == "end";
      calls_[label] = parse(words);
    } else if (kind == "tsm") {
      tsm_[label] = parse(words);
    } else if (kind == "log" && !label.empty() && label.back() == ':') {
      label.pop_back();
      std::string& log = logs_[label];
      log += (log.empty() ? "" : "; ") + line.substr(line.find(": ") + 2);
    }
  }
}

const GuestCall& GuestLines::call(const std::string& label) const {
  return find(calls_, label);
}

const GuestCall& GuestLines::tsm(const std::string& label) const {
  return find(tsm_, label);
}

std::string GuestLines::log(const std::string& label) const {
  const auto found = logs_.find(label);
  return found == logs_.end() ? std::string() : found->second;
}

}  // namespace softsnp::end_to_end

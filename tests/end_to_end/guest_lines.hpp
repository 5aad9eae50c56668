// What guest_tools/ printed in a guest, by label.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arch/psp/attestation_report.hpp"
#include "base/types.hpp"

namespace softsnp::end_to_end {

// "guest-request LABEL WHAT name=value ...": one ioctl.
struct GuestCall {
  int result = -2;
  int error = 0;
  u64 exit_info2 = 0;
  std::map<std::string, std::string> values;  // as printed

  bool ok() const { return result == 0; }
  // A value in hexadecimal digits; empty if there is none.
  std::vector<u8> bytes(const std::string& name) const;
  // Of the response: the message's STATUS, and the report behind it.
  std::optional<u32> status() const;
  std::optional<psp::AttestationReport> report() const;
  std::string text() const;
};

class GuestLines {
 public:
  explicit GuestLines(const std::string& console);
  // A call that was not made has result -2.
  const GuestCall& call(const std::string& label) const;
  const std::map<std::string, GuestCall>& calls() const { return calls_; }
  // Lines of the kernel's log that the guest showed under that label, joined by "; ".
  std::string log(const std::string& label) const;
  // Values of "tsm LABEL name=value ...".
  const GuestCall& tsm(const std::string& label) const;
  bool complete() const { return complete_; }

 private:
  std::map<std::string, GuestCall> calls_, tsm_;
  std::map<std::string, std::string> logs_;
  bool complete_ = false;
};

}  // namespace softsnp::end_to_end

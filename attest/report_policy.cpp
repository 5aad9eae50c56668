#include "attest/report_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "arch/psp/attestation_report.hpp"
#include "attest/text.hpp"

namespace softsnp::attest {
namespace {

using Json = nlohmann::json;

// Thrown by the readers of values, caught in read_report_policy.
struct Refused {
  std::string text;
};

// Where in the file a value stands, for messages: minimum_tcb.snp.
struct Place {
  std::string path;
  [[noreturn]] void refuse(const std::string& expected) const {
    throw Refused{path + ": expected " + expected};
  }
  Place in(const std::string& key) const { return {path.empty() ? key : path + "." + key}; }
};

bool read_bool(const Place& place, const Json& value) {
  if (!value.is_boolean()) {
    place.refuse("true or false");
  }
  return value.get<bool>();
}

u64 read_number(const Place& place, const Json& value, u64 maximum) {
  if (!value.is_number_unsigned() || value.get<u64>() > maximum) {
    place.refuse(fmt::format("a number from 0 to {}", maximum));
  }
  return value.get<u64>();
}

u8 read_u8(const Place& place, const Json& value) {
  return static_cast<u8>(read_number(place, value, 0xFF));
}

u32 read_u32(const Place& place, const Json& value) {
  return static_cast<u32>(read_number(place, value, 0xFFFFFFFF));
}

// A number, or hexadecimal digits: JSON has no hexadecimal numbers.
u64 read_bits(const Place& place, const Json& value) {
  if (value.is_number_unsigned()) {
    return value.get<u64>();
  }
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  const usize digits = text.starts_with("0x") ? text.size() - 2 : 0;
  if (digits == 0 || digits > 16) {
    place.refuse("a number, or a string such as \"0x30000\"");
  }
  const auto bytes = parse_hex_bytes(std::string(16 - digits, '0') + text.substr(2), 8);
  if (!bytes) {
    place.refuse("a number, or a string such as \"0x30000\"");
  }
  u64 bits = 0;
  for (const u8 byte : *bytes) {
    bits = bits << 8 | byte;
  }
  return bits;
}

ByteString read_bytes(const Place& place, const Json& value, usize count) {
  const auto bytes = value.is_string() ? parse_hex_bytes(value.get<std::string>(), count)
                                       : std::optional<ByteString>();
  if (!bytes) {
    place.refuse(fmt::format("a string of {} hexadecimal digits", 2 * count));
  }
  return *bytes;
}

// One value or a list of them.
template <class Reader>
auto read_list(const Place& place, const Json& value, Reader read_one) {
  std::vector<decltype(read_one(place, value))> list;
  if (!value.is_array()) {
    list.push_back(read_one(place, value));
    return list;
  }
  if (value.empty()) {
    place.refuse("at least one value");
  }
  for (usize i = 0; i < value.size(); ++i) {
    list.push_back(read_one(Place{fmt::format("{}[{}]", place.path, i)}, value[i]));
  }
  return list;
}

using Setter = void (*)(const Place&, const Json&, ReportPolicy&);
using Table = std::map<std::string, Setter>;

template <auto field, usize count>
void set_byte_strings(const Place& place, const Json& value, ReportPolicy& policy) {
  policy.*field = read_list(
      place, value, [](const Place& at, const Json& one) { return read_bytes(at, one, count); });
}
template <auto field>
void set_flag(const Place& place, const Json& value, ReportPolicy& policy) {
  policy.*field = read_bool(place, value);
}
template <auto field>
void set_bits(const Place& place, const Json& value, ReportPolicy& policy) {
  policy.*field = read_bits(place, value);
}
template <auto field>
void set_u32(const Place& place, const Json& value, ReportPolicy& policy) {
  policy.*field = read_u32(place, value);
}

const Json& require_object(const Place& place, const Json& value) {
  if (!value.is_object() || value.empty()) {
    place.refuse("an object with at least one key");
  }
  return value;
}

template <auto field>
void set_tcb(const Place& place, const Json& value, ReportPolicy& policy) {
  const std::map<std::string, std::optional<u8> TcbMinimum::*> parts = {
      {"fmc", &TcbMinimum::fmc},
      {"boot_loader", &TcbMinimum::boot_loader},
      {"tee", &TcbMinimum::tee},
      {"snp", &TcbMinimum::snp},
      {"microcode", &TcbMinimum::microcode}};
  for (const auto& [key, part] : require_object(place, value).items()) {
    const auto found = parts.find(key);
    if (found == parts.end()) {
      place.in(key).refuse("fmc, boot_loader, tee, snp or microcode");
    }
    policy.*field.*(found->second) = read_u8(place.in(key), part);
  }
}

void set_firmware(const Place& place, const Json& value, ReportPolicy& policy) {
  FirmwareMinimum minimum;
  bool has_major = false;
  for (const auto& [key, part] : require_object(place, value).items()) {
    const u8 number = read_u8(place.in(key), part);
    if (key == "major") {
      has_major = true;
      minimum.major = number;
    } else if (key == "minor") {
      minimum.minor = number;
    } else if (key == "build") {
      minimum.build = number;
    } else {
      place.in(key).refuse("major, minor or build");
    }
  }
  if (!has_major) {
    place.in("major").refuse("a number from 0 to 255");
  }
  policy.minimum_firmware = minimum;
}

void set_platform(const Place& place, const Json& value, ReportPolicy& policy) {
  namespace info = psp::platform_info;
  const std::map<std::string, u64> bits = {
      {"smt_en", info::smt_en},
      {"tsme_en", info::tsme_en},
      {"ecc_en", info::ecc_en},
      {"rapl_dis", info::rapl_dis},
      {"ciphertext_hiding_dram_en", info::ciphertext_hiding_dram_en},
      {"alias_check_complete", info::alias_check_complete},
      {"tio_en", info::tio_en}};
  for (const auto& [key, part] : require_object(place, value).items()) {
    const auto found = bits.find(key);
    if (found == bits.end()) {
      place.in(key).refuse("a bit of PLATFORM_INFO such as tsme_en");
    }
    policy.platform_info.push_back({key, found->second, read_bool(place.in(key), part)});
  }
}

void set_vmpl(const Place& place, const Json& value, ReportPolicy& policy) {
  policy.vmpl = read_list(place, value, read_u32);
}

Table keys() {
  using P = ReportPolicy;
  return {
      {"measurement", set_byte_strings<&P::measurement, 48>},
      {"host_data", set_byte_strings<&P::host_data, 32>},
      {"report_data", set_byte_strings<&P::report_data, 64>},
      {"id_key_digests", set_byte_strings<&P::id_key_digests, 48>},
      {"author_key_digests", set_byte_strings<&P::author_key_digests, 48>},
      {"image_id", set_byte_strings<&P::image_id, 16>},
      {"family_id", set_byte_strings<&P::family_id, 16>},
      {"chip_ids", set_byte_strings<&P::chip_ids, 64>},
      {"minimum_tcb", set_tcb<&P::minimum_tcb>},
      {"minimum_launch_tcb", set_tcb<&P::minimum_launch_tcb>},
      {"minimum_firmware", set_firmware},
      {"minimum_guest_svn", set_u32<&P::minimum_guest_svn>},
      {"vmpl", set_vmpl},
      {"maximum_vmpl", set_u32<&P::maximum_vmpl>},
      {"guest_policy_required", set_bits<&P::guest_policy_required>},
      {"guest_policy_forbidden", set_bits<&P::guest_policy_forbidden>},
      {"platform_info", set_platform},
      {"allow_debug", set_flag<&P::allow_debug>},
      {"allow_migration_agent", set_flag<&P::allow_migration_agent>},
      {"allow_smt", set_flag<&P::allow_smt>},
      {"require_single_socket", set_flag<&P::require_single_socket>},
      {"allow_provisional_firmware", set_flag<&P::allow_provisional_firmware>},
  };
}

// Keys come from the file.
std::string printable(std::string text) {
  for (char& letter : text) {
    if (letter < 0x20 || letter > 0x7E) {
      letter = '?';
    }
  }
  constexpr usize longest = 200;
  text.resize(std::min(text.size(), longest));
  return text;
}

// JSON lets a key stand there twice, and a parser takes either.
Json parse_without_repetition(std::span<const u8> file) {
  std::vector<std::set<std::string>> open;
  const auto watch = [&open](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) {
      open.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open.pop_back();
    } else if (event == Json::parse_event_t::key &&
               !open.back().insert(value.get<std::string>()).second) {
      throw Refused{value.get<std::string>() + ": stands there twice"};
    }
    return true;
  };
  return Json::parse(file.begin(), file.end(), watch);
}

ReportPolicy parse_policy(const Json& json) {
  if (!json.is_object()) {
    throw Refused{"expected a JSON object"};
  }
  ReportPolicy policy;
  const Table table = keys();
  for (const auto& [key, value] : json.items()) {
    const auto found = table.find(key);
    if (found == table.end()) {
      throw Refused{key + ": no such key in a policy"};
    }
    found->second(Place{key}, value, policy);
  }
  return policy;
}

}  // namespace

Result<ReportPolicy, std::string> read_report_policy(const std::string& name,
                                                     std::span<const u8> file) {
  try {
    return parse_policy(parse_without_repetition(file));
  } catch (const Refused& refused) {
    return Failure{name + ": " + printable(refused.text)};
  } catch (const Json::parse_error& error) {
    return Failure{fmt::format("{}: not JSON, at byte {}", name, error.byte)};
  } catch (const Json::exception&) {  // text that is no UTF-8, numbers out of range
    return Failure{name + ": not JSON"};
  }
}

}  // namespace softsnp::attest

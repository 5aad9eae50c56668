#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "platform/product.hpp"
#include "platform/settings.hpp"

namespace softsnp::platform {

namespace {

using Json = nlohmann::ordered_json;
using Problem = std::optional<std::string>;  // one line

constexpr const char* format_key = "format";
constexpr int format = 1;
constexpr std::array keys = {"format",        "product",      "chip_id", "tcb",
                             "committed_tcb", "reported_tcb", "csp_id",  "valid_from"};

Result<std::string, std::string> text_field(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return Failure{fmt::format("{}: expected a string", key)};
  }
  return found->get<std::string>();
}

// target = parse(field's text), which returns a Result with a line.
template <class Value, class Parser>
Problem read_field(const Json& object, const char* key, Value& target, Parser parse) {
  const auto text = text_field(object, key);
  if (!text) {
    return text.error();
  }
  const auto value = parse(*text);
  if (!value) {
    return fmt::format("{}: {}", key, value.error());
  }
  target = *value;
  return std::nullopt;
}

template <class Value>
Result<Value, std::string> or_expected(const std::optional<Value>& value, const char* expected) {
  return value ? Result<Value, std::string>(*value) : Failure{fmt::format("expected {}", expected)};
}

Problem unknown_key(const Json& object) {
  for (const auto& item : object.items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) == keys.end()) {
      return fmt::format("unknown field '{}'", item.key());
    }
  }
  const auto found = object.find(format_key);
  if (found == object.end() || !found->is_number_integer() || *found != format) {
    return fmt::format("{}: expected {}", format_key, format);
  }
  return std::nullopt;
}

Problem read_fields(const Json& object, Settings& settings) {
  Problem problem = read_field(object, "product", settings.product, [](const std::string& text) {
    return or_expected(parse_product(text), "Milan, Genoa or Turin");
  });
  if (problem) {
    return problem;
  }
  const psp::Product product = settings.product;
  const auto tcb = [product](const std::string& text) { return parse_tcb(text, product); };
  const auto chip_id = [product](const std::string& text) { return parse_chip_id(text, product); };
  const auto same = [](const std::string& text) { return Result<std::string, std::string>(text); };
  const auto time = [](const std::string& text) {
    return or_expected(parse_time(text), "a time such as 2026-01-31T12:00:00Z");
  };
  for (const Problem& found : {read_field(object, "chip_id", settings.chip_id, chip_id),
                               read_field(object, "tcb", settings.tcb, tcb),
                               read_field(object, "committed_tcb", settings.committed_tcb, tcb),
                               read_field(object, "reported_tcb", settings.reported_tcb, tcb),
                               read_field(object, "csp_id", settings.csp_id, same),
                               read_field(object, "valid_from", settings.valid_from, time)}) {
    if (found) {
      return found;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string to_json(const Settings& settings) {
  const auto tcb = [&settings](const psp::TcbComponents& of) {
    return tcb_text(of, settings.product);
  };
  const Json object = {{format_key, format},
                       {"product", product_name(settings.product)},
                       {"chip_id", chip_id_text(settings)},
                       {"tcb", tcb(settings.tcb)},
                       {"committed_tcb", tcb(settings.committed_tcb)},
                       {"reported_tcb", tcb(settings.reported_tcb)},
                       {"csp_id", settings.csp_id},
                       {"valid_from", time_text(settings.valid_from)}};
  return object.dump(2) + "\n";
}

Result<Settings, std::string> settings_from_json(std::string_view text) {
  constexpr bool exceptions = false;
  const Json object = Json::parse(text, nullptr, exceptions);
  if (!object.is_object()) {
    return Failure{std::string("expected a JSON object")};
  }
  Settings settings;
  Problem problem = unknown_key(object);
  if (!problem) {
    problem = read_fields(object, settings);
  }
  if (problem) {
    return Failure{*problem};
  }
  if (const auto checked = check(settings); !checked) {
    return Failure{checked.error()};
  }
  return std::move(settings);
}

}  // namespace softsnp::platform

// Options whose text goes through a parser, for the commands' option lists.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "arch/psp/tcb_version.hpp"
#include "image/launch_plan.hpp"
#include "platform/product.hpp"

namespace softsnp::cli {

// parse returns an optional; expected says what it takes.
template <class Value, class Parser>
CLI::Option* add(CLI::App& app, const std::string& name, Value& value, Parser parse,
                 const std::string& description, const std::string& expected) {
  const auto set = [&value, parse, expected](const std::string& text) {
    const auto parsed = parse(text);
    if (!parsed) {
      throw CLI::ValidationError("expected " + expected + ", got '" + text + "'");
    }
    value = *parsed;
  };
  const auto bound = [name, set](const std::vector<std::string>& texts) {
    try {
      set(texts.back());
    } catch (const CLI::ValidationError& error) {
      throw CLI::ValidationError(name.substr(name.find("--")), error.what());
    }
    return true;
  };
  return app.add_option(name, bound, description)->type_name(expected)->expected(1);
}

inline std::optional<image::Acceptance> parse_acceptance(const std::string& text) {
  if (text == "lazy") {
    return image::Acceptance::lazy;
  }
  return text == "eager" ? std::optional(image::Acceptance::eager) : std::nullopt;
}

inline std::optional<psp::Product> parse_product(const std::string& text) {
  return platform::parse_product(text);
}

}  // namespace softsnp::cli

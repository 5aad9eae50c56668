#include "observe/conversion_text.hpp"

#include <fmt/format.h>

namespace softsnp::observe {
namespace {

std::string headline(const Conversion& c, u64 number) {
  return fmt::format("{}:{}  gPA {:#x}-{:#x}, {} page{}, at {}, {} ticks in {} steps",
                     c.to_private ? "private" : "shared", number, c.first.value(), c.end.value(),
                     c.pages(), c.pages() == 1 ? "" : "s",
                     c.steps.empty() ? 0 : c.steps.front().time, c.ticks(), c.steps.size());
}

std::string range(const ConversionStep& step) {
  if (step.end == 0) {
    return step.count == 1 ? "" : fmt::format(" ({} times)", step.count);
  }
  const char* space = step.kind == StepKind::tlb_flush ? "gVA" : "gPA";
  return fmt::format(", {} {:#x}-{:#x}{}", space, step.first, step.end,
                     step.count == 1 ? "" : fmt::format(" ({} of them)", step.count));
}

std::string place(const ConversionStep& step, const Symbols& symbols) {
  const std::string symbol = symbols.name_of(step.rip);
  constexpr usize longest = 40;
  return symbol.empty()            ? fmt::format("{:#x}", step.rip)
         : symbol.size() > longest ? "..." + symbol.substr(symbol.size() - longest)
                                   : symbol;
}

}  // namespace

std::string conversion_list(const std::vector<Conversion>& all) {
  std::string text;
  u64 numbers[2] = {0, 0};
  for (const Conversion& c : all) {
    text += headline(c, ++numbers[c.to_private ? 1 : 0]) + "\n";
  }
  return text.empty() ? "the guest converted no page\n" : text;
}

std::string conversion_text(const std::vector<Conversion>& all, bool to_private, u64 number,
                            const Symbols& symbols) {
  const char* function = to_private ? "set_memory_encrypted" : "set_memory_decrypted";
  u64 seen = 0;
  for (const Conversion& c : all) {
    if (c.to_private != to_private || ++seen != number) {
      continue;
    }
    std::string text = fmt::format("{} ({})\n", headline(c, number), function);
    text += fmt::format("  {:>14} {:>9}  {:<44} {}\n", "virtual time", "cost", "at", "step");
    for (usize i = 0; i < c.steps.size(); ++i) {
      const ConversionStep& step = c.steps[i];
      const u64 next = i + 1 < c.steps.size() ? c.steps[i + 1].time : c.ended;
      text += fmt::format("  {:>14} {:>9}  {:<44} {}: {}{}\n", step.time,
                          next > step.time ? next - step.time : 0, place(step, symbols),
                          name(step.kind), step.detail, range(step));
    }
    return text;
  }
  return fmt::format("{}:{} did not happen: the guest made {} such conversion{}\n",
                     to_private ? "private" : "shared", number, seen, seen == 1 ? "" : "s");
}

}  // namespace softsnp::observe

#include "machine/memory/rmp/describe.hpp"

#include <cinttypes>
#include <cstdio>

namespace softsnp::memory {
namespace {

std::string hex(u64 value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%" PRIx64, value);
  return text;
}

const char* name(PageSize size) {
  return size == PageSize::size_2m ? "2M" : "4K";
}

}  // namespace

const char* name(snp::RmpResult result) {
  switch (result) {
    case snp::RmpResult::success:
      return "SUCCESS";
    case snp::RmpResult::fail_input:
      return "FAIL_INPUT";
    case snp::RmpResult::fail_permission:
      return "FAIL_PERMISSION";
    case snp::RmpResult::fail_inuse:
      return "FAIL_INUSE";
    case snp::RmpResult::fail_overlap:
      return "FAIL_OVERLAP";
    case snp::RmpResult::fail_sizemismatch:
      return "FAIL_SIZEMISMATCH";
    case snp::RmpResult::fail_not_eligible:
      return "page not eligible";
  }
  return "unknown result";
}

std::string describe_permissions(u8 mask) {
  std::string text = "rwusk";
  for (unsigned i = 0; i < text.size(); ++i) {
    if (!has_bit(mask, i)) {
      text[i] = '-';
    }
  }
  return text;
}

std::string describe(const snp::RmpEntry& entry) {
  std::string text = name(state_of(entry));
  if (entry.assigned()) {
    text += ", ASID " + std::to_string(number(entry.asid()));
    text += ", gPA " + hex(entry.gpa().value());
    text += std::string(", ") + name(entry.size());
    text += ",";
    for (unsigned i = 0; i < vmpl_count; ++i) {
      text += " VMPL" + std::to_string(i) + " ";
      text += describe_permissions(entry.permissions(static_cast<Vmpl>(i)));
    }
  }
  text += entry.vmsa() ? ", VMSA" : "";
  text += entry.sub_page_count() != 0
              ? ", assigned 4K pages behind it: " + std::to_string(entry.sub_page_count())
              : "";
  return text;
}

std::string describe(const RmpCause& cause) {
  std::string text = name(cause.agent);
  if (cause.agent == RmpAgent::firmware) {
    return text + " command " + hex(cause.firmware_command);
  }
  text += std::string(" by ") + name(cause.asker.kind);
  if (cause.asker.kind == AskerKind::snp_guest || cause.asker.kind == AskerKind::guest) {
    text += " ASID " + std::to_string(number(cause.asker.asid));
    text += " VMPL" + std::to_string(number(cause.asker.vmpl)) + " at RIP " + hex(cause.rip);
  }
  return text;
}

std::string describe(const RmpChange& change) {
  return "sPA " + hex(change.page.value()) + " (" + name(change.extent) +
         "): " + describe(change.cause) + ": " + describe(change.before) + " -> " +
         describe(change.after);
}

}  // namespace softsnp::memory

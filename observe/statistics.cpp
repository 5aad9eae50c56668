#include "observe/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace softsnp::observe {
namespace {

using Json = nlohmann::ordered_json;

Json by_code(const std::map<u64, u64>& counts) {
  Json out = Json::object();
  for (const auto& [code, count] : counts) {
    out[fmt::format("{:#x}", code)] = count;
  }
  return out;
}

Json validation_json(const Validation& validation, u64 guest_pages) {
  const u64 once_valid = validation.launched_pages() + validation.accepted_pages();
  const auto& made = validation.made_valid();
  const auto& rescinded = validation.rescinded();
  return {{"launched_pages", validation.launched_pages()},
          {"pvalidate", {{"2m", made.large}, {"4k", made.small}}},
          {"rescinded", {{"2m", rescinded.large}, {"4k", rescinded.small}}},
          {"accepted_pages", validation.accepted_pages()},
          {"never_accepted_pages", guest_pages - std::min(guest_pages, once_valid)},
          {"validated_twice", validation.validated_twice()}};
}

Json direct_map_json(const kvm::DirectMapReport& report) {
  const auto& counters = report.counters;
  const auto& census = report.census;
  return {{"splits", {{"1g", counters.splits_of_1g}, {"2m", counters.splits_of_2m}}},
          {"joins", {{"1g", counters.joins_to_1g}, {"2m", counters.joins_to_2m}}},
          {"faults", {{"taken", counters.faults}, {"resolved", counters.faults_resolved}}},
          {"stores", counters.stores},
          {"tlb_misses", counters.tlb_misses},
          {"mappings", {{"1g", census.huge}, {"2m", census.large}, {"4k", census.small}}},
          {"unmapped_pages", census.unmapped_pages},
          {"assigned_pages", report.assigned_pages}};
}

}  // namespace

void Statistics::rmp_changed(const memory::RmpChange& e) {
  ++rmp_changes_[name(e.cause.agent)];
  validation_.rmp_changed(e);
}

void Statistics::rmp_instruction(const cpu::RmpInstructionEvent& e) {
  static constexpr const char* names[] = {"pvalidate", "rmpadjust", "rmpquery"};
  ++rmp_instructions_[names[static_cast<unsigned>(e.instruction)]];
  validation_.rmp_instruction(e);
}

void Statistics::page_state(const kvm::PageStateEvent& e) {
  (e.is_private ? bytes_made_private_ : bytes_made_shared_) += e.bytes;
}

std::string Statistics::json(const Totals& t) const {
  Json out;
  out["virtual_time"] = t.virtual_time;
  out["instructions"] = t.instructions;
  out["vcpu_instructions"] = t.vcpu_instructions;
  out["blocks"] = {{"built", t.blocks_built},
                   {"lookups", t.block_lookups},
                   {"hits", t.block_lookups - t.blocks_built},
                   {"code_invalidations", t.code_invalidations}};
  out["tlb"] = {{"lookups", t.memory_operands},
                {"hits", t.memory_operands - std::min(t.memory_operands, t.tlb_fills)},
                {"fills", t.tlb_fills},
                {"flushes", t.tlb_flushes}};
  out["form_conversions"] = t.form_conversions;
  out["seconds"] = {{"total", t.seconds_total},
                    {"launch", t.seconds_launch},
                    {"guest", t.seconds_guest},
                    {"processor", t.seconds_processor},
                    {"firmware", t.seconds_firmware}};
  out["resident_bytes"] = t.resident_bytes;
  out["vmrun"] = vmruns_;
  out["vmexit"] = by_code(vmexits_);
  out["vmgexit"] = vmgexits_;
  out["vc"] = by_code(vc_);
  Json vectors = Json::object();
  for (usize i = 0; i < delivered_.size(); ++i) {
    if (delivered_[i] != 0) {
      vectors[std::to_string(i)] = delivered_[i];
    }
  }
  out["delivered"] = vectors;
  out["nested_faults"] = {{"taken", nested_faults_}, {"resolution", resolutions_}};
  out["page_state"] = {{"bytes_made_private", bytes_made_private_},
                       {"bytes_made_shared", bytes_made_shared_}};
  out["rmp_changes"] = rmp_changes_;
  out["rmp_instructions"] = rmp_instructions_;
  out["validation"] = validation_json(validation_, t.guest_pages);
  out["psp_commands"] = psp_commands_;
  out["host_rmp_faults"] = host_rmp_faults_;
  out["direct_map"] = direct_map_json(t.direct_map);
  return out.dump(2) + "\n";
}

}  // namespace softsnp::observe

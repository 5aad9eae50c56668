#include "cli/observation.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/file.hpp"
#include "image/memory_map.hpp"
#include "machine/cpu/processor.hpp"
#include "machine/memory/dram/dram.hpp"
#include "observe/conversion_text.hpp"

namespace softsnp::cli {
namespace {

Failure<std::string> fail_errno(const std::string& name) {
  return Failure{name + ": " + std::strerror(errno)};
}

u64 resident_bytes() {
  u64 total = 0;
  u64 resident = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) {
    return 0;
  }
  const int read = std::fscanf(file, "%lu %lu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<u64>(::sysconf(_SC_PAGESIZE)) : 0;
}

u64 ram_pages(u64 memory) {
  u64 pages = 0;
  for (const image::RamRange& range : image::ram_ranges(memory)) {
    pages += range.length / page_size;
  }
  return pages;
}

}  // namespace

void Observation::LaunchWatch::launch_finished(const psp::LaunchFinished& event) {
  digest.clear();
  for (const u8 byte : event.launch_digest.bytes) {
    digest += fmt::format("{:02x}", byte);
  }
}

// The place comes first: the others ask for it.
Observation::Observation() {
  fan_out_.add(moments_);
  fan_out_.add(launch_watch_);
  fan_out_.add(explainer_);
}

Result<void, std::string> Observation::read_symbols(const std::string& name) {
  constexpr u64 limit = u64{1} << 30;
  const auto bytes = read_file(name, limit);
  if (!bytes) {
    return Failure{bytes.error()};
  }
  symbols_.add_elf(*bytes);
  if (symbols_.empty()) {
    symbols_.add_map(*bytes);
  }
  if (symbols_.empty()) {
    return Failure{name +
                   ": no symbols: expected an ELF file with a symbol table or lines "
                   "\"ADDRESS TYPE NAME\""};
  }
  return {};
}

Result<void, std::string> Observation::open(const RunOptions& options) {
  if (!options.symbols.empty()) {
    if (auto read = read_symbols(options.symbols); !read) {
      return read;
    }
  }
  wanted_ = options.conversions;
  if (wanted_.any()) {
    fan_out_.add(recorder_.emplace(moments_));
  }
  trace_name_ = options.trace;
  stats_name_ = options.stats;
  guest_pages_ = options.mode == image::Mode::snp ? ram_pages(options.memory) : 0;
  if (!trace_name_.empty()) {
    trace_.reset(std::fopen(trace_name_.c_str(), "we"));
    if (!trace_) {
      return fail_errno(trace_name_);
    }
    tracer_.emplace(trace_.get(), moments_, symbols_);
    fan_out_.add(*tracer_);
  }
  if (!stats_name_.empty()) {
    stats_.reset(std::fopen(stats_name_.c_str(), "we"));
    if (!stats_) {
      return fail_errno(stats_name_);
    }
    fan_out_.add(statistics_);
  }
  return {};
}

void Observation::attach(machine::Machine& machine) {
  moments_.attach(machine);
  if (stats_) {
    for (unsigned i = 0; i < machine.core_count(); ++i) {
      machine.core(i).count_memory_operands();
    }
  }
  if (recorder_) {
    attach_recorder(machine);
  }
  explainer_.set_evidence({&moments_, &machine.rmp(), [&machine]() -> const cpu::Denial& {
                             return machine.core(machine.last_core()).mmu().last_denial();
                           }});
}

void Observation::attach_recorder(machine::Machine& machine) {
  for (unsigned i = 0; i < machine.core_count(); ++i) {
    machine.core(i).mmu().set_store_listener(&*recorder_);
  }
  recorder_->set_window({[&machine](GuestVirtual address) {
                           cpu::Processor& processor = machine.core(machine.last_core());
                           return observe::find_guest_leaf(machine.dram(), processor.mmu().guest(),
                                                           processor.core().state.cr3, address);
                         },
                         [&machine](SystemPhysical page) {
                           for (unsigned i = 0; i < machine.core_count(); ++i) {
                             machine.core(i).mmu().watch_stores(page);
                           }
                         }});
}

std::string Observation::conversions() const {
  if (!recorder_) {
    return {};
  }
  std::string text = wanted_.list ? observe::conversion_list(recorder_->conversions()) : "";
  for (const auto& choice : wanted_.chosen) {
    text += observe::conversion_text(recorder_->conversions(), choice.to_private, choice.number,
                                     symbols_);
  }
  return text;
}

std::string Observation::explanations() const {
  std::string text;
  for (const std::string& paragraph : explainer_.paragraphs()) {
    text += paragraph + "\n";
  }
  if (!moments_.registers().empty()) {
    text += "Registers at the triple fault: " + moments_.registers() + "\n";
  }
  return text;
}

observe::Totals Observation::totals(machine::Machine& machine, const HostTimes& times) const {
  observe::Totals totals;
  totals.virtual_time = machine.now();
  for (unsigned i = 0; i < machine.core_count(); ++i) {
    const cpu::Processor& processor = machine.core(i);
    const cpu::Counters& counters = processor.core().counters;
    totals.instructions += processor.retired();
    totals.vcpu_instructions.push_back(processor.retired());
    totals.blocks_built += counters.blocks_built;
    totals.block_lookups += counters.lookups;
    totals.memory_operands += counters.memory_operands;
    totals.tlb_fills += counters.tlb_fills;
    totals.tlb_flushes += counters.tlb_flushes;
    totals.code_invalidations += counters.code_invalidations;
  }
  totals.form_conversions = machine.dram().conversions();
  totals.seconds_total = times.total.count();
  totals.seconds_launch = times.launch.count();
  totals.seconds_guest = times.guest.count();
  totals.seconds_processor = times.port.processor.count();
  totals.seconds_firmware = times.port.firmware.count();
  totals.resident_bytes = resident_bytes();
  totals.guest_pages = guest_pages_;
  return totals;
}

Result<void, std::string> Observation::finish(machine::Machine& machine,
                                              const kvm::DirectMapReport& direct_map,
                                              const HostTimes& times) {
  if (stats_) {
    observe::Totals sums = totals(machine, times);
    sums.direct_map = direct_map;
    const std::string json = statistics_.json(sums);
    std::fwrite(json.data(), 1, json.size(), stats_.get());
    if (std::fflush(stats_.get()) != 0 || std::ferror(stats_.get()) != 0) {
      return fail_errno(stats_name_);
    }
  }
  if (trace_ && (std::fflush(trace_.get()) != 0 || std::ferror(trace_.get()) != 0)) {
    return fail_errno(trace_name_);
  }
  return {};
}

}  // namespace softsnp::cli

// Who watches a run on the command line's behalf. Made before the machine, finished after the run.
#pragma once

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cli/last_moments.hpp"
#include "cli/options.hpp"
#include "machine/machine.hpp"
#include "observe/conversion_recorder.hpp"
#include "observe/explainer.hpp"
#include "observe/statistics.hpp"
#include "observe/timed_port.hpp"
#include "observe/tracer.hpp"

namespace softsnp::cli {

// Host time of a run's parts, for --stats.
struct HostTimes {
  std::chrono::duration<double> launch{}, guest{}, total{};
  observe::PortTimes port;  // measured with --stats only
};

class Observation {
 public:
  Observation();
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  // Opens the files of --trace and --stats. One line about what cannot be opened.
  Result<void, std::string> open(const RunOptions& options);
  // Symbols of the guest, if the image is an ELF file with some.
  void add_symbols(std::span<const u8> image) { symbols_.add_elf(image); }

  machine::Observers machine_observers() { return {&fan_out_, &fan_out_, &fan_out_}; }
  kvm::Observer* kvm_observer() { return &fan_out_; }
  void attach(machine::Machine& machine);

  // Lower-case hexadecimal, once the launch is finished.
  const std::string& launch_digest() const { return launch_watch_.digest; }
  // What was noticed on the way to a bad end, a paragraph each.
  std::string explanations() const;
  // What --conversions asked for.
  std::string conversions() const;
  // Writes the statistics; one line if a file could not be written. Events may still come: the
  // trace stays open.
  Result<void, std::string> finish(machine::Machine& machine,
                                   const kvm::DirectMapReport& direct_map, const HostTimes& times);

 private:
  class LaunchWatch final : public observe::Listener {
   public:
    void launch_finished(const psp::LaunchFinished& event) override;
    std::string digest;
  };
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void attach_recorder(machine::Machine& machine);
  Result<void, std::string> read_symbols(const std::string& name);
  observe::Totals totals(machine::Machine& machine, const HostTimes& times) const;
  using File = std::unique_ptr<std::FILE, CloseFile>;

  observe::Symbols symbols_;
  LastMoments moments_;
  LaunchWatch launch_watch_;
  observe::Explainer explainer_{symbols_};
  std::string trace_name_, stats_name_;
  u64 guest_pages_ = 0;  // that have a validated state
  File trace_, stats_;
  std::optional<observe::Tracer> tracer_;
  observe::Statistics statistics_;
  ConversionOptions wanted_;
  std::optional<observe::ConversionRecorder> recorder_;
  observe::FanOut fan_out_;
};

}  // namespace softsnp::cli

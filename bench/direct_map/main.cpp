// The host's direct map under its policies: ten SNP guests at once convert a thousand random pages
// each, the host writes into what they share, the guests go. One JSON object on standard output.
// The counts are the same in every run; the throughput is the host's, and only its ratios between
// policies mean something.
#include <cstdio>
#include <ctime>
#include <exception>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "arch/snp/features.hpp"
#include "cli/sizing.hpp"
#include "guest/samples/embedded.hpp"
#include "image/image.hpp"
#include "machine/machine.hpp"
#include "vmm/cpuid_table.hpp"
#include "vmm/vmm.hpp"

namespace softsnp::bench {
namespace {

using Json = nlohmann::ordered_json;
using host::DirectMapPolicy;

constexpr usize guests = 10;
constexpr u64 guest_memory = u64{32} << 20;
constexpr unsigned host_writes = 400'000;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Capture final : public vmm::Console {
 public:
  void write(std::span<const u8> bytes) override { text.append(bytes.begin(), bytes.end()); }
  vmm::ConsoleInput poll(std::chrono::milliseconds) override { return {}; }
  bool interactive() const override { return false; }
  bool ended() const override { return true; }
  void notice(std::string_view) override {}
  std::string text;
};

// Gives the next guest its turn after each slice.
class EachSlice final : public vmm::StopSource {
 public:
  std::optional<int> stop_requested() override { return 0; }
};

image::LaunchPlan plan_for(const kvm::Kvm& kvm) {
  image::Inputs inputs;
  inputs.kernel = {"built-in sample guest", guest::sample_image()};
  inputs.append = "case=random-conversions";
  inputs.memory_size = guest_memory;
  const auto supported = kvm.supported_cpuid(kvm::VmType::snp);
  inputs.c_bit = vmm::c_bit(supported);
  inputs.cpuid = vmm::cpuid_page_entries(supported);
  return std::move(image::build(inputs).value());
}

struct Guest {
  Capture console;
  std::unique_ptr<vmm::Vmm> vmm;
  bool running = true;
};

void fail(const char* what) {
  std::fprintf(stderr, "direct_map: %s\n", what);
  std::exit(1);
}

std::vector<Guest> start(kvm::Kvm& kvm) {
  const image::LaunchPlan plan = plan_for(kvm);
  vmm::Config config;
  config.slice_ticks = 200'000;
  std::vector<Guest> all(guests);
  for (Guest& guest : all) {
    auto launched = vmm::launch(kvm, config, plan, nullptr);
    if (!launched) {
      fail(launched.error().text.c_str());
    }
    guest.vmm = std::make_unique<vmm::Vmm>(std::move(*launched), plan.ram, config);
  }
  return all;
}

void run(std::vector<Guest>& all) {
  EachSlice each_slice;
  for (usize left = all.size(); left != 0;) {
    for (Guest& guest : all) {
      if (!guest.running) {
        continue;
      }
      const vmm::RunOutcome end = guest.vmm->run(guest.console, each_slice);
      if (end.kind == vmm::OutcomeKind::interrupted) {
        continue;
      }
      if (guest.console.text.find("lost their content: 0\r\n") == std::string::npos) {
        fail(("a guest ended badly: " + end.text + "\n" + guest.console.text).c_str());
      }
      guest.running = false;
      --left;
    }
  }
}

struct HostWrites {
  u64 done = 0;
  double seconds = 0;
};

// Into random pages that guests share with the host; private ones refuse.
HostWrites write_into_shared(std::vector<Guest>& all) {
  std::vector<std::pair<kvm::Vm*, GuestPhysical>> shared;
  for (Guest& guest : all) {
    for (u64 at = u64{1} << 20; at < guest_memory; at += page_size) {
      if (!guest.vmm->vm().is_private(GuestPhysical(at))) {
        shared.emplace_back(&guest.vmm->vm(), GuestPhysical(at));
      }
    }
  }
  std::mt19937_64 random(1);
  const std::array<u8, 64> line{};
  HostWrites writes;
  const double begin = thread_seconds();
  for (unsigned i = 0; i < host_writes; ++i) {
    const auto& [vm, page] = shared[random() % shared.size()];
    writes.done += vm->write_shared(page + 64 * (random() % 64), line).ok() ? 1 : 0;
  }
  writes.seconds = thread_seconds() - begin;
  return writes;
}

Json mappings(const host::DirectMapCensus& census) {
  return {{"1g", census.huge},
          {"2m", census.large},
          {"4k", census.small},
          {"unmapped_pages", census.unmapped_pages}};
}

Json measure(const char* name, DirectMapPolicy policy, bool coalesce) {
  machine::Config config;
  config.dram_bytes = cli::dram_bytes_for(guests * guest_memory);
  machine::Machine machine(config);
  const auto kvm = kvm::make_kvm(machine.port(), {policy, coalesce});
  const double begin = thread_seconds();
  std::vector<Guest> all = start(*kvm);
  run(all);
  const auto alive = kvm->direct_map();
  const HostWrites writes = write_into_shared(all);
  const auto written = kvm->direct_map();
  all.clear();
  const double seconds = thread_seconds() - begin;
  const auto end = kvm->direct_map();
  return {{"policy", name},
          {"coalesce", coalesce},
          {"splits", {{"1g", end.counters.splits_of_1g}, {"2m", end.counters.splits_of_2m}}},
          {"coalesced", {{"1g", end.counters.joins_to_1g}, {"2m", end.counters.joins_to_2m}}},
          {"faults", end.counters.faults},
          {"faults_resolved", end.counters.faults_resolved},
          {"mappings_with_guests", mappings(alive.census)},
          {"mappings_at_end", mappings(end.census)},
          {"assigned_pages_at_end", end.assigned_pages},
          {"stores", end.counters.stores},
          {"tlb_misses", end.counters.tlb_misses},
          {"host_writes",
           {{"done", writes.done},
            {"tlb_misses", written.counters.tlb_misses - alive.counters.tlb_misses},
            {"mib_per_second", static_cast<double>(writes.done) * 64 / 1048576 / writes.seconds}}},
          {"seconds", seconds}};
}

void print_all() {
  using Policy = host::DirectMapPolicy;
  const std::pair<const char*, Policy> policies[] = {
      {"split-on-assign", Policy::split_on_assign},
      {"split-on-small-assign", Policy::split_on_small_assign},
      {"split-on-fault", Policy::split_on_fault},
      {"unmap-on-assign", Policy::unmap_on_assign}};
  Json out = Json::array();
  for (const auto& [name, policy] : policies) {
    for (const bool coalesce : {true, false}) {
      out.push_back(measure(name, policy, coalesce));
    }
  }
  std::printf("%s\n", out.dump(2).c_str());
}

}  // namespace
}  // namespace softsnp::bench

int main() {
  try {
    softsnp::bench::print_all();
  } catch (const std::exception& error) {  // the host has no memory left, and the like
    std::fprintf(stderr, "direct_map: %s\n", error.what());
    return 1;
  }
  return 0;
}

// What observers cost while nothing is traced: the program always has some, to explain faults.
// A whole boot of Debian's kernel with them and without, in turns; the pair's ratio of processor
// time is what counts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "tests/end_to_end/guest_run.hpp"
#include "tests/end_to_end/linux_guest.hpp"

namespace softsnp::bench {
namespace {

double process_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Negative: the guest did not end well.
double boot_seconds(const end_to_end::LinuxGuest& linux_guest, bool observed) {
  end_to_end::GuestOptions options = linux_guest.options(image::Mode::snp);
  options.unobserved = !observed;
  const double start = process_seconds();
  end_to_end::GuestRun guest(std::move(options));
  return guest.run().kind == vmm::OutcomeKind::powered_off ? process_seconds() - start : -1;
}

void observation_of_a_boot(benchmark::State& state) {
  const end_to_end::LinuxGuest linux_guest;
  if (!linux_guest.is_there()) {
    state.SkipWithError("no kernel: run scripts/fetch_kernels.sh and scripts/make_initramfs.sh");
    return;
  }
  std::vector<double> ratios;
  for (auto _ : state) {
    const bool observed_first = ratios.size() % 2 == 0;
    const double first = boot_seconds(linux_guest, observed_first);
    const double second = boot_seconds(linux_guest, !observed_first);
    if (first < 0 || second < 0) {
      state.SkipWithError("the guest did not end as expected");
      return;
    }
    ratios.push_back(observed_first ? first / second : second / first);
    state.SetIterationTime(observed_first ? first : second);
  }
  const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  state.counters["observed_to_unobserved"] = *middle;
}
BENCHMARK(observation_of_a_boot)->Iterations(5)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace softsnp::bench

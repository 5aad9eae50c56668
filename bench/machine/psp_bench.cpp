// The secure processor: launch digest, and SNP_LAUNCH_UPDATE from the mailbox to the guest's page.
#include <benchmark/benchmark.h>

#include "bench/machine/launching_guest.hpp"
#include "machine/psp/launch_digest.hpp"

namespace softsnp::bench {
namespace {

using namespace psp;

// A digest of one page: SHA-384 of its contents, then one step of the chain.
void launch_digest_page(benchmark::State& state) {
  Sha384 sha;
  std::vector<u8> bytes(page_size, 0x5A);
  Digest digest;
  MeasuredPage page{PageType::normal, false, {}, GuestPhysical(0x1000)};
  for (auto _ : state) {
    digest = extend_digest(sha, digest, page_contents(sha, PageType::normal, bytes), page);
  }
  benchmark::DoNotOptimize(digest);
  state.SetItemsProcessed(static_cast<i64>(state.iterations()));
  state.SetBytesProcessed(static_cast<i64>(page_size * state.iterations()));
}
BENCHMARK(launch_digest_page);

void launch_digest_zero_page(benchmark::State& state) {
  Sha384 sha;
  const std::vector<u8> bytes(page_size);
  Digest digest;
  MeasuredPage page{PageType::zero, false, {}, GuestPhysical(0x1000)};
  for (auto _ : state) {
    digest = extend_digest(sha, digest, page_contents(sha, PageType::zero, bytes), page);
  }
  benchmark::DoNotOptimize(digest);
  state.SetItemsProcessed(static_cast<i64>(state.iterations()));
}
BENCHMARK(launch_digest_zero_page);

// The pages of 2 MiB launched, as 512 pages or as one.
void launch_update_2mib(benchmark::State& state) {
  LaunchingGuest launch;
  const PageSize size = state.range(0) == 0 ? PageSize::size_4k : PageSize::size_2m;
  const auto type = static_cast<PageType>(state.range(1));
  for (auto _ : state) {
    state.PauseTiming();
    for (u64 at = 0; at < large_page_size; at += bytes(size)) {
      launch.assign(pages + at, at, owner, size);
    }
    state.ResumeTiming();
    for (u64 at = 0; at < large_page_size; at += bytes(size)) {
      launch.update(type, pages + at, size);
    }
    state.PauseTiming();
    for (u64 at = 0; at < large_page_size; at += bytes(size)) {
      launch.take_back(pages + at, size);
    }
    state.ResumeTiming();
  }
  if (!launch.good()) {
    state.SkipWithError("refused");
  }
  state.counters["pages_4k"] = benchmark::Counter(512.0 * static_cast<double>(state.iterations()),
                                                  benchmark::Counter::kIsRate);
}
BENCHMARK(launch_update_2mib)
    ->ArgNames({"2m", "type"})
    ->Args({0, static_cast<i64>(PageType::normal)})
    ->Args({1, static_cast<i64>(PageType::normal)})
    ->Args({0, static_cast<i64>(PageType::zero)})
    ->Args({1, static_cast<i64>(PageType::zero)});

}  // namespace
}  // namespace softsnp::bench

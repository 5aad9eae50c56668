// What a TLB miss costs: a load from each of 4096 pages in turn, more than the TLB holds.
#include <benchmark/benchmark.h>

#include "bench/machine/cpu/bare_core.hpp"

namespace softsnp::bench {
namespace {

constexpr u64 pages = 4096;
static_assert(pages >= 4 * cpu::tlb_entries && pages * page_size <= BareCore::memory_bytes);

void tlb_miss(benchmark::State& state, const Translations& translations) {
  BareCore machine(translations);
  machine.call(softsnp_loop_touch_pages, pages);  // accessed bits, nested translations
  const u64 before = machine.core().counters.tlb_fills;
  bool returned = true;
  for (auto _ : state) {
    returned = machine.call(softsnp_loop_touch_pages, pages).returned && returned;
  }
  const u64 misses = machine.core().counters.tlb_fills - before;
  if (!returned || misses < pages * state.iterations()) {
    state.SkipWithError("not every load missed");
  }
  state.counters["miss"] = benchmark::Counter(
      static_cast<double>(misses), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(tlb_miss, host_4k, Translations{Paging::host, PageSize::size_4k});
BENCHMARK_CAPTURE(tlb_miss, host_2m, Translations{Paging::host, PageSize::size_2m});
BENCHMARK_CAPTURE(tlb_miss, nested_4k, Translations{Paging::nested, PageSize::size_4k});
BENCHMARK_CAPTURE(tlb_miss, nested_2m, Translations{Paging::nested, PageSize::size_2m});
BENCHMARK_CAPTURE(tlb_miss, snp_4k, Translations{Paging::snp, PageSize::size_4k});
BENCHMARK_CAPTURE(tlb_miss, snp_2m, Translations{Paging::snp, PageSize::size_2m});

// All translations dropped, as a hypervisor or MOV CR3 asks for.
void tlb_flush(benchmark::State& state, bool keep_global) {
  BareCore machine;
  for (auto _ : state) {
    if (keep_global) {
      machine.mmu().flush_non_global(machine.core());
    } else {
      machine.mmu().flush_all(machine.core());
    }
  }
}
BENCHMARK_CAPTURE(tlb_flush, all, false);
BENCHMARK_CAPTURE(tlb_flush, non_global, true);

}  // namespace
}  // namespace softsnp::bench

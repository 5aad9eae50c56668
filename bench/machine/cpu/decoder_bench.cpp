// Bytes to internal instructions, and blocks built from them.
#include <benchmark/benchmark.h>

#include "bench/machine/cpu/bare_core.hpp"

namespace softsnp::bench {
namespace {

constexpr u32 mode = cpu::code_mode::size64;
constexpr u32 longest = 15;

void decode(benchmark::State& state) {
  const cpu::Decoder decoder;
  std::vector<u8> code(loop_code().begin(), loop_code().end());
  const usize end = code.size();
  code.resize(end + longest);
  u64 instructions = 0;
  u64 bytes = 0;
  for (auto _ : state) {
    for (usize at = 0; at < end; ++instructions) {
      cpu::Op op{};
      cpu::OpInfo info{};
      benchmark::DoNotOptimize(decoder.decode(code.data() + at, longest, at, mode, op, info));
      at += info.length;
      bytes += info.length;
    }
  }
  state.SetItemsProcessed(static_cast<i64>(instructions));
  state.SetBytesProcessed(static_cast<i64>(bytes));
}
BENCHMARK(decode);

// A short run of sorting and hashing after all blocks were dropped: what cold code costs.
void cold_code(benchmark::State& state) {
  BareCore machine;
  bool returned = true;
  const u64 before = machine.core().counters.blocks_built;
  for (auto _ : state) {
    machine.mmu().blocks().clear(machine.core());
    returned = machine.call(softsnp_loop_sort, 8).returned &&
               machine.call(softsnp_loop_hash_table, 2).returned && returned;
  }
  if (!returned) {
    state.SkipWithError("did not return");
  }
  state.counters["block"] =
      benchmark::Counter(static_cast<double>(machine.core().counters.blocks_built - before),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(cold_code);

}  // namespace
}  // namespace softsnp::bench

// Million instructions a second of the executor, by kind of code, and the same code natively.
#include <benchmark/benchmark.h>

#include <cstring>
#include <ctime>
#include <numeric>
#include <random>
#include <vector>

#include "base/bytes.hpp"
#include "bench/machine/cpu/bare_core.hpp"

namespace softsnp::bench {
namespace {

constexpr u64 kib = 1024;
constexpr u64 mib = kib * kib;

enum class Contents : u8 { zero, random, ring, halves };

struct Work {
  Loop loop;
  u64 count;
  u64 bytes = 0;  // of memory that the loop works on
  Contents contents = Contents::zero;
  u64 moved = 0;  // bytes handled by a call, where that says more than instructions do
};

// A ring through all of the memory in random order, a step every 64 bytes.
void make_ring(std::vector<u8>& memory, std::mt19937_64& random) {
  std::vector<u64> order(memory.size() / 64);
  std::iota(order.begin(), order.end(), u64{0});
  std::shuffle(order.begin(), order.end(), random);
  for (usize i = 0; i < order.size(); ++i) {
    store_le<u64>(memory.data() + 64 * order[i], 64 * order[(i + 1) % order.size()]);
  }
}

std::vector<u8> make_memory(const Work& work) {
  std::vector<u8> memory(work.bytes);
  std::mt19937_64 random(1);
  if (work.contents == Contents::ring) {
    make_ring(memory, random);
  } else if (work.contents != Contents::zero) {
    for (u8& byte : memory) {
      byte = static_cast<u8>(random() % 255 + 1);
    }
  }
  if (work.contents == Contents::halves) {
    std::memcpy(memory.data() + memory.size() / 2, memory.data(), memory.size() / 2);
  }
  return memory;
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Seconds a native call takes.
double measure_native(const Work& work, std::vector<u8>& memory) {
  u64 calls = 0;
  const double start = thread_seconds();
  double spent = 0;
  do {
    for (unsigned i = 0; i < 8; ++i, ++calls) {
      benchmark::DoNotOptimize(work.loop(memory.data(), work.count));
    }
    spent = thread_seconds() - start;
  } while (spent < 0.05);
  return spent / static_cast<double>(calls);
}

void instructions(benchmark::State& state, const Work& work) {
  std::vector<u8> memory = make_memory(work);
  memory.resize(memory.size() + page_size);
  BareCore machine;
  machine.fill(memory.data(), memory.size());
  const BareCore::Answer first = machine.call(work.loop, work.count);
  if (!first.returned || first.result != work.loop(memory.data(), work.count)) {
    state.SkipWithError("the machine and this processor disagree");
    return;
  }
  u64 retired = 0;
  const double start = thread_seconds();
  for (auto _ : state) {
    retired += machine.call(work.loop, work.count).instructions;
  }
  const double seconds = (thread_seconds() - start) / static_cast<double>(state.iterations());
  using benchmark::Counter;
  const double native = measure_native(work, memory);
  const double each = static_cast<double>(retired) / static_cast<double>(state.iterations());
  state.counters["MIPS"] = each / seconds / 1e6;
  state.counters["slowdown"] = seconds / native;
  if (work.moved != 0) {
    state.SetBytesProcessed(static_cast<i64>(state.iterations() * work.moved));
  } else {
    state.counters["native_MIPS"] = each / native / 1e6;
  }
}

#define LOOP(name, ...) BENCHMARK_CAPTURE(instructions, name, Work{__VA_ARGS__})

LOOP(integer_mix, softsnp_loop_integer_mix, 100'000);
LOOP(integer_chain, softsnp_loop_integer_chain, 100'000);
LOOP(integer_carry, softsnp_loop_carry_chain, 100'000);
LOOP(integer_partial, softsnp_loop_partial_registers, 100'000);
LOOP(branches_random, softsnp_loop_random_branches, 100'000);
LOOP(branches_calls, softsnp_loop_calls, 20);
LOOP(branches_indirect, softsnp_loop_indirect, 100'000, 4 * kib);
LOOP(memory_chase_16k, softsnp_loop_chase, 256 * 256, 16 * kib, Contents::ring);
LOOP(memory_chase_16m, softsnp_loop_chase, 256 * kib, 16 * mib, Contents::ring);
LOOP(memory_sum_16k, softsnp_loop_sum, 2 * kib, 16 * kib, Contents::random);
LOOP(memory_sum_16m, softsnp_loop_sum, 2 * mib, 16 * mib, Contents::random);
LOOP(memory_copy_16k, softsnp_loop_copy, 2 * kib, 16 * kib, Contents::random);
LOOP(memory_copy_16m, softsnp_loop_copy, 2 * mib, 16 * mib, Contents::random);
LOOP(memory_scatter_64k, softsnp_loop_scatter, 100'000, 64 * kib);
LOOP(string_rep_movsb_4k, softsnp_loop_rep_movsb, 4 * kib, 8 * kib, Contents::random, 4 * kib);
LOOP(string_rep_movsb_64, softsnp_loop_rep_movsb, 64, 4 * kib, Contents::random, 64);
LOOP(string_rep_stosq_4k, softsnp_loop_rep_stosq, 4 * kib, 4 * kib, Contents::random, 4 * kib);
LOOP(string_repe_cmpsb_4k, softsnp_loop_repe_cmpsb, 4 * kib, 8 * kib, Contents::halves, 4 * kib);
LOOP(string_byte_copy_4k, softsnp_loop_byte_copy, 4 * kib, 8 * kib, Contents::random);
LOOP(string_byte_length_4k, softsnp_loop_byte_length, 4 * kib, 8 * kib, Contents::random);
LOOP(mixed_sort, softsnp_loop_sort, 4096, 16 * kib);
LOOP(mixed_hash_table, softsnp_loop_hash_table, 100'000, 64 * kib);
LOOP(mixed_unpack, softsnp_loop_unpack, 256 * kib, 256 * kib);

}  // namespace
}  // namespace softsnp::bench

// Memory: conversion of a frame's form, the RMP's verdict, and the RMP instructions.
#include <benchmark/benchmark.h>

#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::bench {
namespace {

using namespace memory;

constexpr u64 dram_bytes = u64{64} << 20;
constexpr SystemPhysical rmp_at{u64{48} << 20};
constexpr SystemPhysical page{u64{4} << 20};  // 2M aligned
constexpr GuestPhysical gpa{u64{1} << 30};
constexpr Asid owner{5};
constexpr Asker guest{AskerKind::snp_guest, owner, Vmpl::vmpl0};

struct Memory {
  Memory() {
    rmp.set_range(rmp_at, rmp_at + (snp::rmp_bookkeeping_bytes + dram_bytes / page_size * 16 - 1));
    rmp.set_enabled(true);
    dram.keys().install(key_of(owner), {{1, 2, 3}});
    dram.keys().install(key_of(Asid{6}), {{4, 5, 6}});
  }
  bool update(PageSize size, bool assigned) {
    const snp::RmpUpdate value{
        assigned ? gpa.value() : 0,  static_cast<u8>(assigned ? 1 : 0), static_cast<u8>(size), 0, 0,
        assigned ? number(owner) : 0};
    return rmp.rmpupdate(page, value, Asid::host) == snp::RmpResult::success;
  }
  bool pvalidate(PageSize size, bool validate) {
    const GuestRmpOutcome out = rmp.pvalidate({guest, page, gpa, size}, size, true, validate, 0);
    return out.denied == Rule::none && out.result == snp::RmpResult::success && !out.carry;
  }

  Dram dram{dram_bytes};
  Rmp rmp{dram};
};

PageSize size_of(const benchmark::State& state) {
  return state.range(0) == 0 ? PageSize::size_4k : PageSize::size_2m;
}
void both_sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("2m")->Arg(0)->Arg(1);
}

// AES over one frame: decryption of what the bus sees.
void form_raw_to_plain(benchmark::State& state) {
  Memory memory;
  const auto frame = memory.dram.frame(page, key_of(owner));
  frame[0] = 1;
  for (auto _ : state) {
    memory.dram.frame(page, KeyId::none);
    benchmark::DoNotOptimize(memory.dram.frame(page, key_of(owner)));
  }
  // Each iteration encrypts once and decrypts once.
  state.SetBytesProcessed(static_cast<i64>(2 * page_size * state.iterations()));
}
BENCHMARK(form_raw_to_plain);

// Encryption under one key and decryption under another.
void form_plain_to_plain(benchmark::State& state) {
  Memory memory;
  memory.dram.frame(page, key_of(owner))[0] = 1;
  u32 turn = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.dram.frame(page, key_of(Asid{5 + (++turn & 1)})));
  }
  state.SetBytesProcessed(static_cast<i64>(page_size * state.iterations()));
}
BENCHMARK(form_plain_to_plain);

void rmp_check_guest_read(benchmark::State& state) {
  Memory memory;
  const PageSize size = size_of(state);
  if (!memory.update(size, true) || !memory.pvalidate(size, true)) {
    return state.SkipWithError("setting up");
  }
  const AccessRequest request{guest, AccessKind::read, true, false, page, gpa, size};
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.rmp.check(request));
  }
  if (memory.rmp.check(request) != Rule::none) {
    state.SkipWithError("refused");
  }
}
BENCHMARK(rmp_check_guest_read)->Apply(both_sizes);

void rmp_check_host_write(benchmark::State& state) {
  Memory memory;
  const AccessRequest request{Asker{}, AccessKind::write, false,         false,
                              page,    GuestPhysical(0),  size_of(state)};
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.rmp.check(request));
  }
  if (memory.rmp.check(request) != Rule::none) {
    state.SkipWithError("refused");
  }
}
BENCHMARK(rmp_check_host_write)->Apply(both_sizes);

// A page assigned and taken back; items are single RMPUPDATEs.
void rmpupdate(benchmark::State& state) {
  Memory memory;
  const PageSize size = size_of(state);
  bool ok = true;
  for (auto _ : state) {
    ok = memory.update(size, true) && memory.update(size, false) && ok;
  }
  if (!ok) {
    state.SkipWithError("refused");
  }
  state.SetItemsProcessed(2 * static_cast<i64>(state.iterations()));
}
BENCHMARK(rmpupdate)->Apply(both_sizes);

// Validated and rescinded; items are single PVALIDATEs.
void pvalidate(benchmark::State& state) {
  Memory memory;
  const PageSize size = size_of(state);
  bool ok = memory.update(size, true);
  for (auto _ : state) {
    ok = memory.pvalidate(size, true) && memory.pvalidate(size, false) && ok;
  }
  if (!ok) {
    state.SkipWithError("refused");
  }
  state.SetItemsProcessed(2 * static_cast<i64>(state.iterations()));
}
BENCHMARK(pvalidate)->Apply(both_sizes);

// A 2M page split, and put together again by taking it back and assigning it.
void psmash_and_reassign(benchmark::State& state) {
  Memory memory;
  bool ok = true;
  for (auto _ : state) {
    ok = memory.update(PageSize::size_2m, true) &&
         memory.rmp.psmash(page, Asid::host) == snp::RmpResult::success && ok;
    for (u64 i = 0; i < 512; ++i) {
      const snp::RmpUpdate free{};
      ok =
          memory.rmp.rmpupdate(page + i * page_size, free, Asid::host) == snp::RmpResult::success &&
          ok;
    }
  }
  if (!ok) {
    state.SkipWithError("refused");
  }
}
BENCHMARK(psmash_and_reassign);

}  // namespace
}  // namespace softsnp::bench

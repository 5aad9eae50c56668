// The secure processor: launch digest, and SNP_LAUNCH_UPDATE from the mailbox to the guest's page.
#include <benchmark/benchmark.h>

#include "arch/psp/guest_buffers.hpp"
#include "arch/x86/msr.hpp"
#include "machine/psp/launch_digest.hpp"
#include "machine/psp/psp.hpp"

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

constexpr SystemPhysical rmp_at{u64{16} << 20};
constexpr u64 rmp_bytes = u64{1} << 20;
constexpr SystemPhysical buffer{0x1000};
constexpr SystemPhysical context{0x200000};
constexpr SystemPhysical pages{0x400000};
constexpr Asid owner{5};

// One core, configured as SNP_INIT wants it (hardware sheet 1.5), caches always flushed.
class Registers final : public PlatformView {
 public:
  unsigned core_count() const override { return 1; }
  u64 msr(unsigned, u32 number) const override {
    switch (number) {
      case x86::msr::syscfg:
        return 0x3880000;
      case x86::msr::hwcr:
        return 1;
      case x86::msr::rmp_base:
        return rmp_at.value();
      case x86::msr::rmp_end:
        return rmp_at.value() + rmp_bytes - 1;
      default:
        return 0;
    }
  }
  CpuidValues cpuid(u32 leaf, u32) const override {
    return leaf == 0x8000001F ? CpuidValues{0x1A, 0x173, 1006, 100} : CpuidValues{};
  }
  u32 reference_tsc_khz() const override { return 99800; }
  bool all_cores_flushed() const override { return true; }
  void restart_flush_tracking() override {}
};

// A guest in launch, its ASID active.
class Launch {
 public:
  Launch() {
    rmp_.set_range(rmp_at, rmp_at + (rmp_bytes - 1));
    rmp_.set_enabled(true);
    SnpLaunchStart start{};
    start.gctx_paddr = context.value();
    start.policy = 0x30000;
    start.desired_tsc_khz = 2'000'000;
    run(Command::snp_init, 0);
    run(Command::snp_df_flush, 0);
    assign(context, 0, Asid::host, PageSize::size_4k);
    run(Command::snp_gctx_create, SnpGuestContextOnly{context.value()});
    run(Command::snp_launch_start, start);
    run(Command::snp_activate, SnpActivate{context.value(), number(owner)});
  }
  bool good() const { return good_; }
  void assign(SystemPhysical at, u64 gpa, Asid asid, PageSize size) {
    const snp::RmpUpdate update{gpa, 1, static_cast<u8>(size), 1, 0, number(asid)};
    good_ = rmp_.rmpupdate(at, update, Asid::host) == snp::RmpResult::success && good_;
  }
  void take_back(SystemPhysical at, PageSize size) {
    const snp::RmpUpdate update{0, 0, static_cast<u8>(size)};
    good_ = rmp_.rmpupdate(at, update, Asid::host) == snp::RmpResult::success && good_;
  }
  template <class T>
  void run(Command command, const T& value) {
    dram_.write(buffer, memory::KeyId::none, {reinterpret_cast<const u8*>(&value), sizeof value});
    good_ = psp_.command(command, buffer) == Status::success && good_;
  }
  void update(PageType type, SystemPhysical at, PageSize size) {
    SnpLaunchUpdate update{};
    update.gctx_paddr = context.value();
    update.flags = static_cast<u32>(type) << 1 | static_cast<u32>(size);
    update.page_paddr = at.value();
    run(Command::snp_launch_update, update);
  }

 private:
  Registers registers_;
  memory::Dram dram_{u64{64} << 20};
  memory::Rmp rmp_{dram_};
  Psp psp_{{.seed = 1}, dram_, rmp_, registers_};
  bool good_ = true;
};

// The pages of 2 MiB launched, as 512 pages or as one.
void launch_update_2mib(benchmark::State& state) {
  Launch launch;
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

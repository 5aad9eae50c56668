// A secure processor with memory and one core, and a guest in launch.
#pragma once

#include "arch/psp/guest_buffers.hpp"
#include "arch/x86/msr.hpp"
#include "machine/psp/psp.hpp"

namespace softsnp::bench {

using namespace psp;

inline constexpr SystemPhysical rmp_at{u64{16} << 20};
inline constexpr u64 rmp_bytes = u64{1} << 20;
inline constexpr SystemPhysical buffer{0x1000};
inline constexpr SystemPhysical context{0x200000};
inline constexpr SystemPhysical pages{0x400000};
inline constexpr Asid owner{5};

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
class LaunchingGuest {
 public:
  LaunchingGuest() {
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
  memory::Dram& dram() { return dram_; }
  Psp& psp() { return psp_; }

 private:
  Registers registers_;
  memory::Dram dram_{u64{64} << 20};
  memory::Rmp rmp_{dram_};
  Psp psp_{{.seed = 1}, dram_, rmp_, registers_};
  bool good_ = true;
};

}  // namespace softsnp::bench

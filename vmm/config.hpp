// What a run is told from outside, files apart.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "arch/boot/platform.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "image/launch_plan.hpp"
#include "vmm/guest_owner.hpp"

namespace softsnp::vmm {

struct Config {
  image::Mode mode = image::Mode::snp;
  u64 policy = 0x30000;
  // Of an SNP guest: host data, ID block and authentication information.
  kvm::LaunchFinish finish;
  // Of an SEV or SEV-ES guest; null: no session, no secrets. Outlives the launch.
  GuestOwner* owner = nullptr;
  // Port of isa-debug-exit; 0 = no such device.
  u16 debug_exit_port = boot::platform::debug_exit_port;
  // Host time after which the run ends. It ends the run and decides nothing else: the only place
  // where wall-clock time is looked at, between slices.
  std::optional<std::chrono::milliseconds> timeout;
  // Wall time of the guest's RTC at power-on, seconds since 1970: fixed, so that runs repeat.
  i64 rtc_epoch_seconds = 1'767'225'600;  // 2026-01-01
  // The certificate table (GHCB sheet 3.6) that goes with reports whose guest asks for it, as
  // bytes. Empty: such a guest gets a table without entries.
  std::vector<u8> certificates;
  // Requests of the guest to the AMD-SP that go through in a second of virtual time; 0 = no limit.
  u32 guest_requests_per_second = 0;
  // Virtual time between two looks at the console, the signals and the time-out.
  u64 slice_ticks = 5'000'000;
};

}  // namespace softsnp::vmm

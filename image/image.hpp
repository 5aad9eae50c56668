// Files to launch plan: the one entrance. Pure; every input is hostile.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arch/psp/cpuid_page.hpp"
#include "arch/snp/features.hpp"
#include "base/result.hpp"
#include "image/error.hpp"
#include "image/launch_plan.hpp"

namespace softsnp::image {

// A file's contents and the name to use for it in messages. The bytes stay the caller's.
struct File {
  std::string name;
  std::span<const u8> bytes;
};

// A Secure VM Service Module between firmware and kernel: it runs at VMPL0 and starts the kernel.
struct Svsm {
  File file;
  unsigned guest_vmpl = 2;
};

struct Inputs {
  File kernel;
  File initrd;  // empty name: none
  std::string append;
  u64 memory_size = u64{512} << 20;
  Mode mode = Mode::snp;
  unsigned c_bit = 51;
  // What the CPUID page tells the guest (mode snp); at most 64.
  std::vector<psp::CpuidEntry> cpuid;
  unsigned vcpu_count = 1;  // announced in the MADT, APIC ids from 0
  // lazy: mode snp and a bzImage that knows how.
  Acceptance acceptance = Acceptance::eager;
  std::optional<Svsm> svsm = {};                              // mode snp
  snp::InjectionMode injection = snp::InjectionMode::normal;  // mode snp
};

// bzImage (64-bit entry), ELF64 (64-bit entry) or Multiboot 1 (32-bit entry), told apart by
// content. An image with a Multiboot header is started as Multiboot asks, also if it is ELF64.
Result<LaunchPlan, ImageError> build(const Inputs& inputs);

}  // namespace softsnp::image

// VMs on the real machine with a few instructions as their guest. Their memory: code at 1000h, page
// tables from 2000h that map the first 2 MiB, zeros otherwise.
#pragma once

#include <gtest/gtest.h>

#include "arch/x86/registers.hpp"
#include "base/bytes.hpp"
#include "hypervisor/kvm/kvm.hpp"
#include "machine/machine.hpp"

namespace softsnp::kvm {

inline constexpr u64 mib = u64{1} << 20;
inline constexpr u64 c_bit = u64{1} << 51;
inline constexpr u64 code_at = 0x1000, table_at = 0x2000, ram = 4 * mib;

inline machine::Config small_machine(unsigned cores = 1) {
  machine::Config c;
  c.dram_bytes = 64 * mib;
  c.seed = 1;
  c.cores = cores;
  return c;
}

inline std::vector<u8> image(std::span<const u8> code, u64 encryption) {
  std::vector<u8> bytes(0x4000);
  std::copy(code.begin(), code.end(), bytes.begin());
  store_le<u64>(&bytes[0x1000], (table_at + 0x1000) | 3);
  store_le<u64>(&bytes[0x2000], (table_at + 0x2000) | 3);
  store_le<u64>(&bytes[0x3000], 0x83 | encryption);
  return bytes;
}

inline svm::Vmsa long_mode() {
  svm::Vmsa s{};
  s.cr0 = x86::cr0::pe | x86::cr0::pg | x86::cr0::et;
  s.cr4 = x86::cr4::pae;
  s.cr3 = table_at;
  s.efer = x86::efer::lme | x86::efer::lma;
  s.cs = {0x10, 0x29B, 0xFFFFFFFF, 0};
  const svm::SegmentRegister data{0x18, 0xC93, 0xFFFFFFFF, 0};
  s.ds = data;
  s.es = data;
  s.ss = data;
  s.ldtr = {0, 0x82, 0xFFFF, 0};
  s.tr = {0, 0x8B, 0xFFFF, 0};
  s.rflags = 2;
  s.rip = code_at;
  s.rsp = 0x100000;
  s.dr6 = 0xFFFF0FF0;
  s.dr7 = 0x400;
  s.g_pat = 0x0007040600070406;
  s.xcr0 = 1;
  s.mxcsr = 0x1F80;
  s.x87_fcw = 0x37F;
  return s;
}

// pages: what is at other addresses than the code and tables, by ascending address below 2 MiB;
// shared: pages that are not private, with their first bytes.
struct GuestPage {
  u64 at = 0;
  std::vector<u8> bytes;
};

struct SnpGuestOnMachine {
  explicit SnpGuestOnMachine(std::span<const u8> code, u32 vcpus = 1,
                             const std::vector<GuestPage>& pages = {},
                             const std::vector<GuestPage>& shared = {}, unsigned cores = 1,
                             Observer* observer = nullptr)
      : machine(small_machine(cores)) {
    kvm = make_kvm(machine.port());
    VmConfig vm_config;
    vm_config.type = VmType::snp;
    vm_config.observer = observer;
    auto made = kvm->create_vm(vm_config);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().what);
    vm = std::move(made.value());
    EXPECT_TRUE(vm->set_memory_region(0, GuestPhysical(0), ram).ok());
    EXPECT_TRUE(vm->set_private(GuestPhysical(0), ram, true).ok());
    for (const GuestPage& page : shared) {
      EXPECT_TRUE(vm->set_private(GuestPhysical(page.at), page_size, false).ok());
      EXPECT_TRUE(vm->write_shared(GuestPhysical(page.at), page.bytes).ok());
    }
    for (u32 i = 0; i < vcpus; ++i) {
      Vcpu* one = vm->create_vcpu(i).value();
      one->set_cpuid(kvm->supported_cpuid(VmType::snp));
      EXPECT_TRUE(one->set_state(long_mode()).ok());
      vcpu = i == 0 ? one : vcpu;
    }
    const auto started = vm->launch_start({});
    EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().what);
    update(0, 0x1000, LaunchPageType::zero, {});
    const std::vector<u8> bytes = image(code, c_bit);
    update(code_at, bytes.size(), LaunchPageType::normal, bytes);
    u64 at = 0x5000;
    const auto zeros_to = [&](u64 end) {
      for (; at < end; at += page_size) {
        bool is_shared = false;
        for (const GuestPage& page : shared) {
          is_shared = is_shared || page.at == at;
        }
        if (!is_shared) {
          update(at, page_size, LaunchPageType::zero, {});
        }
      }
    };
    for (const GuestPage& page : pages) {
      zeros_to(page.at);
      std::vector<u8> whole = page.bytes;
      whole.resize(align_up(whole.size(), page_size));
      update(page.at, whole.size(), LaunchPageType::normal, whole);
      at = page.at + whole.size();
    }
    zeros_to(2 * mib);
    update(2 * mib, 2 * mib, LaunchPageType::zero, {});
    const auto finished = vm->launch_finish({});
    EXPECT_TRUE(finished.ok()) << (finished.ok() ? "" : finished.error().what);
  }
  void update(u64 gpa, u64 length, LaunchPageType type, std::span<const u8> bytes) {
    LaunchUpdate u;
    u.gpa = GuestPhysical(gpa);
    u.length = length;
    u.type = type;
    u.bytes = bytes;
    const auto done = vm->launch_update(u);
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().what);
  }

  machine::Machine machine;
  std::unique_ptr<Kvm> kvm;
  std::unique_ptr<Vm> vm;
  Vcpu* vcpu = nullptr;
};

}  // namespace softsnp::kvm

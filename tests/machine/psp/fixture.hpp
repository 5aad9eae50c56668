// A secure processor with memory and a processor that exists only as numbers.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string_view>
#include <vector>

#include "arch/psp/guest_buffers.hpp"
#include "arch/psp/platform_buffers.hpp"
#include "arch/svm/vmsa.hpp"
#include "arch/x86/msr.hpp"
#include "machine/memory/flush_ledger.hpp"
#include "machine/psp/psp.hpp"

namespace softsnp::psp {

inline void PrintTo(Status status, std::ostream* out) {
  *out << name(status);
}

inline std::vector<u8> from_hex(std::string_view text) {
  std::vector<u8> out;
  for (usize at = 0; at + 1 < text.size(); at += 2) {
    out.push_back(static_cast<u8>(std::stoul(std::string(text.substr(at, 2)), nullptr, 16)));
  }
  return out;
}

inline Digest digest_from_hex(std::string_view text) {
  Digest digest;
  const std::vector<u8> bytes = from_hex(text);
  std::copy_n(bytes.begin(), digest_bytes, digest.bytes);
  return digest;
}

inline std::string to_hex(std::span<const u8> bytes) {
  std::string out;
  for (const u8 byte : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}
inline void PrintTo(const Digest& digest, std::ostream* out) {
  *out << to_hex(digest.bytes);
}

inline constexpr SystemPhysical rmp_base(0x1000000);
inline constexpr u64 rmp_bytes = 0x100000;  // describes 252 MiB
inline constexpr u64 dram_bytes = 256u << 20;

struct FakePlatform final : PlatformView {
  unsigned cores = 4;
  unsigned sockets = 1;
  bool smt = false;
  bool can_disable_snp = true;
  std::map<std::pair<unsigned, u32>, u64> msrs;
  std::map<std::pair<u32, u32>, CpuidValues> leaves;
  memory::WbinvdLedger ledger;

  FakePlatform() {
    for (unsigned core = 0; core < cores; ++core) {
      msrs[{core, x86::msr::syscfg}] = 0x3880000;  // bits 19, 23, 24, 25
      msrs[{core, x86::msr::hwcr}] = 1;
      msrs[{core, x86::msr::rmp_base}] = rmp_base.value();
      msrs[{core, x86::msr::rmp_end}] = rmp_base.value() + rmp_bytes - 1;
    }
    leaves[{0, 0}] = {0x10, 0x68747541, 0x444D4163, 0x69746E65};
    leaves[{1, 0}] = {0x00A10F11, 0x00010800, 0x62FA320B & ~0x1000u, 0x178BFBFF};
    leaves[{7, 0}] = {1, 0x219C0789, 0x0040061C, 0x10000010};
    leaves[{0xD, 0}] = {3, 0x240, 0x240, 0};
    leaves[{0xD, 1}] = {1, 0x240, 0, 0};
    leaves[{0x80000001, 0}] = {0x00A10F11, 0, 0x75C237FF, 0x2FD3FBFF};
    leaves[{0x8000001F, 0}] = {0x1A, 0x173, 1006, 100};
  }
  unsigned core_count() const override { return cores; }
  unsigned socket_count() const override { return sockets; }
  bool smt_enabled() const override { return smt; }
  u64 msr(unsigned core, u32 number) const override {
    const auto found = msrs.find({core, number});
    return found != msrs.end() ? found->second : 0;
  }
  CpuidValues cpuid(u32 leaf, u32 subleaf) const override {
    const auto found = leaves.find({leaf, subleaf});
    return found != leaves.end() ? found->second : CpuidValues{};
  }
  u32 reference_tsc_khz() const override { return 99800; }
  bool all_cores_flushed() const override { return ledger.all_flushed(); }
  void restart_flush_tracking() override { ledger.asid_deactivated(Asid::host, cores); }
  bool disable_snp() override { return can_disable_snp; }
};

struct Recorder final : Observer {
  std::vector<CommandEvent> commands;
  std::vector<LaunchFinished> finished;
  void command_done(const CommandEvent& event) override { commands.push_back(event); }
  void launch_finished(const LaunchFinished& event) override { finished.push_back(event); }
};

class PspTest : public testing::Test {
 protected:
  static constexpr SystemPhysical buffer{0x1000};
  static constexpr SystemPhysical context{0x200000};
  static constexpr SystemPhysical page{0x400000};   // 2M aligned
  static constexpr SystemPhysical other{0x600000};  // 2M aligned
  static constexpr SystemPhysical free_page{0x2000};
  static constexpr SystemPhysical outside{255u << 20};  // DRAM without an RMP entry
  static constexpr u64 default_policy = 0x30000;
  static constexpr Asid asid{5};

  PspTest() : PspTest({.seed = 1}) {}
  explicit PspTest(const PspConfig& config) : psp(config, dram, rmp, platform, &recorder) {
    rmp.set_range(rmp_base, rmp_base + (rmp_bytes - 1));
    rmp.set_enabled(true);
  }

  template <class T>
  void put(SystemPhysical at, const T& value) {
    dram.write(at, memory::KeyId::none, {reinterpret_cast<const u8*>(&value), sizeof value});
  }
  template <class T>
  T get(SystemPhysical at, memory::KeyId key = memory::KeyId::none) {
    T value;
    dram.read(at, key, {reinterpret_cast<u8*>(&value), sizeof value});
    return value;
  }
  std::vector<u8> page_bytes(SystemPhysical at, memory::KeyId key = memory::KeyId::none) {
    std::vector<u8> bytes(page_size);
    dram.read(at, key, bytes);
    return bytes;
  }

  Status run(Command command) { return psp.command(command, buffer); }
  template <class T>
  Status run(Command command, const T& value) {
    put(buffer, value);
    return psp.command(command, buffer);
  }

  memory::PageState state_of(SystemPhysical at) { return memory::page_state(rmp, at); }
  void rmpupdate(SystemPhysical at, u64 gpa, Asid owner, bool immutable,
                 PageSize size = PageSize::size_4k) {
    const snp::RmpUpdate update{
        gpa, 1, static_cast<u8>(size), static_cast<u8>(immutable ? 1 : 0), 0, number(owner)};
    ASSERT_EQ(rmp.rmpupdate(at, update, Asid::host), snp::RmpResult::success);
  }
  void make_firmware(SystemPhysical at, PageSize size = PageSize::size_4k) {
    rmpupdate(at, 0, Asid::host, true, size);
  }
  void make_pre_guest(SystemPhysical at, u64 gpa, PageSize size = PageSize::size_4k,
                      Asid owner = asid) {
    rmpupdate(at, gpa, owner, true, size);
  }

  void flush_caches() {
    for (unsigned core = 0; core < platform.cores; ++core) {
      platform.ledger.wbinvd(core);
    }
  }
  void init() { ASSERT_EQ(run(Command::snp_init), Status::success); }
  void init_and_flush() {
    init();
    flush_caches();
    ASSERT_EQ(run(Command::snp_df_flush), Status::success);
  }
  void create_context(SystemPhysical at = context) {
    make_firmware(at);
    ASSERT_EQ(run(Command::snp_gctx_create, SnpGuestContextOnly{at.value()}), Status::success);
  }
  static SnpLaunchStart start_command(SystemPhysical at = context, u64 policy = default_policy) {
    SnpLaunchStart start{};
    start.gctx_paddr = at.value();
    start.policy = policy;
    start.desired_tsc_khz = 2000000;
    return start;
  }
  Status launch_start(SystemPhysical at = context, u64 policy = default_policy) {
    return run(Command::snp_launch_start, start_command(at, policy));
  }
  Status activate(SystemPhysical at = context, Asid wanted = asid) {
    return run(Command::snp_activate, SnpActivate{at.value(), number(wanted)});
  }
  // Platform INIT, a guest in state LAUNCH with its ASID.
  void begin_launch(u64 policy = default_policy) {
    init_and_flush();
    create_context();
    ASSERT_EQ(launch_start(context, policy), Status::success);
    ASSERT_EQ(activate(), Status::success);
  }
  static SnpLaunchUpdate update_command(PageType type, SystemPhysical at,
                                        PageSize size = PageSize::size_4k) {
    SnpLaunchUpdate update{};
    update.gctx_paddr = context.value();
    update.flags = static_cast<u32>(type) << 1 | static_cast<u32>(size);
    update.page_paddr = at.value();
    return update;
  }
  Status launch_update(PageType type, SystemPhysical at, PageSize size = PageSize::size_4k) {
    return run(Command::snp_launch_update, update_command(type, at, size));
  }
  Status launch_finish() {
    SnpLaunchFinish finish{};
    finish.gctx_paddr = context.value();
    return run(Command::snp_launch_finish, finish);
  }
  const GuestContext& guest() { return *psp.guest(context); }
  // Changes the firmware's own state under its feet.
  template <class Change>
  void change_state(Change change) {
    PspState state = psp.state();
    change(state);
    psp.restore(state);
  }
  // The entry of a 4K page as it is, changed.
  template <class Change>
  void change_entry(SystemPhysical at, Change change) {
    snp::RmpEntry entry = rmp.entry(at);
    change(entry);
    rmp.write_entry(at, entry, {memory::RmpAgent::firmware, {}, 0, 0});
  }

  FakePlatform platform;
  Recorder recorder;
  memory::Dram dram{dram_bytes};
  memory::Rmp rmp{dram};
  Psp psp;
};

// The save area that KVM makes for QEMU (firmware sheet 2.2).
inline svm::Vmsa qemu_vmsa(u32 eip, u32 signature, u64 features) {
  svm::Vmsa vmsa{};
  const svm::SegmentRegister data{0, 0x93, 0xFFFF, 0};
  vmsa.es = vmsa.ds = vmsa.fs = vmsa.gs = vmsa.ss = data;
  vmsa.cs = {0xF000, 0x9B, 0xFFFF, eip & 0xFFFF0000};
  vmsa.gdtr = vmsa.idtr = {0, 0, 0xFFFF, 0};
  vmsa.ldtr = {0, 0x82, 0xFFFF, 0};
  vmsa.tr = {0, 0x8B, 0xFFFF, 0};
  vmsa.efer = 0x1000;
  vmsa.cr4 = 0x40;
  vmsa.cr0 = 0x10;
  vmsa.dr7 = 0x400;
  vmsa.dr6 = 0xFFFF0FF0;
  vmsa.rflags = 2;
  vmsa.rip = eip & 0xFFFF;
  vmsa.g_pat = 0x0007040600070406;
  vmsa.rdx = signature;
  vmsa.sev_features = features;
  vmsa.xcr0 = 1;
  vmsa.mxcsr = 0x1F80;
  vmsa.x87_fcw = 0x37F;
  return vmsa;
}

}  // namespace softsnp::psp

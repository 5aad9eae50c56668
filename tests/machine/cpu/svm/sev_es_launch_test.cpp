// Firmware and core together: a save area that LAUNCH_UPDATE_VMSA made is one that VMRUN runs, and
// what the host does to it in between is noticed. Firmware sheet 7.1, hardware sheet 8.1, 9.1.
#include "arch/psp/sev_buffers.hpp"
#include "machine/memory/flush_ledger.hpp"
#include "machine/psp/psp.hpp"
#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using Kind = GuestBench::Kind;
using psp::Command;
using psp::Status;

inline constexpr u64 command_at = 0x206000, tmr_at = 0x600000;

// The package of the bench, as the firmware sees it.
struct View final : psp::PlatformView {
  explicit View(Bench& bench) : bench_(bench) {}
  unsigned core_count() const override { return 1; }
  u64 msr(unsigned, u32 number) const override {
    u64 value = 0;
    return bench_.system.read_msr(number, value) ? value : 0;
  }
  psp::CpuidValues cpuid(u32 leaf, u32 subleaf) const override {
    const CpuidRegisters r = bench_.platform.cpuid(leaf, subleaf);
    return {r.eax, r.ebx, r.ecx, r.edx};
  }
  u32 reference_tsc_khz() const override { return 99800; }
  bool all_cores_flushed() const override { return ledger.all_flushed(); }
  void restart_flush_tracking() override { ledger.asid_deactivated(Asid::host, 1); }
  memory::WbinvdLedger ledger;

 private:
  Bench& bench_;
};

struct LaunchedBench : GuestBench {
  LaunchedBench() : GuestBench(Kind::sev_es), view(*this), psp({.seed = 3}, dram, rmp, view) {
    run(Command::init, psp::SevInit{psp::SevInit::es, {}, tmr_at, psp::SevInit::tmr_bytes});
    view.ledger.wbinvd(0);
    EXPECT_EQ(psp.command(Command::df_flush, SystemPhysical(command_at)), Status::success);
    psp::SevLaunchStart start{};
    start.policy = psp::sev_policy::es;
    run(Command::launch_start, start);
    handle = peek<psp::SevLaunchStart>(command_at).handle;
    run(Command::activate, psp::SevActivate{handle, guest_asid});
    vmsa.rax = 0x1122334455667788;
    vmsa.r9 = 0x99;
    vmsa.checksum_address = 0;
    dram.write(SystemPhysical(vmsa_at), memory::KeyId::none, {vmsa.raw, sizeof vmsa.raw});
    run(Command::launch_update_vmsa, psp::SevLaunchUpdate{handle, 0, vmsa_at, page_size});
    reload();
  }
  template <class T>
  void run(Command command, const T& value) {
    poke(command_at, value);
    EXPECT_EQ(psp.command(command, SystemPhysical(command_at)), Status::success) << name(command);
  }
  std::vector<u8> ciphertext() {
    std::vector<u8> bytes(page_size);
    dram.read(SystemPhysical(vmsa_at), memory::KeyId::none, bytes);
    return bytes;
  }
  void put_ciphertext(const std::vector<u8>& bytes) {
    dram.write(SystemPhysical(vmsa_at), memory::KeyId::none, bytes);
  }
  void expect_refused() {
    ASSERT_TRUE(vmrun());
    EXPECT_FALSE(svm.in_guest());
    EXPECT_EQ(exitcode(), svm::ExitCode::invalid);
    ASSERT_FALSE(recorder.refusals.empty());
    EXPECT_STREQ(recorder.refusals.back(), "VMSA does not have its checksum (VMSA 388h)");
  }

  View view;
  psp::Psp psp;
  u32 handle = 0;
};

TEST(SevEsLaunch, VmrunAcceptsWhatTheFirmwareMade) {
  LaunchedBench b;
  EXPECT_EQ(b.vmsa.reserved_380, 0u);
  EXPECT_EQ(b.vmsa.checksum_address, tmr_at);
  ASSERT_TRUE(b.vmrun());
  ASSERT_TRUE(b.svm.in_guest());
  EXPECT_EQ(b.gpr(x86::Gpr::rax), 0x1122334455667788u);
  EXPECT_EQ(b.gpr(x86::Gpr::r9), 0x99u);
  b.gpr(x86::Gpr::r9) = 0x9A;
  ASSERT_EQ(b.svm.on_budget(), Run::exited);
  b.reload();
  EXPECT_EQ(b.vmsa.r9, 0x9Au);
  ASSERT_TRUE(b.vmrun()) << "the checksum went along";
  EXPECT_TRUE(b.svm.in_guest());
}

TEST(SevEsLaunch, AChangedOrOldSaveAreaIsRefused) {
  LaunchedBench b;
  const std::vector<u8> launched = b.ciphertext();
  std::vector<u8> changed = launched;
  changed[0x1F8] ^= 1;  // RAX
  b.put_ciphertext(changed);
  b.expect_refused();
  b.put_ciphertext(launched);
  ASSERT_TRUE(b.vmrun());
  ASSERT_TRUE(b.svm.in_guest());
  b.gpr(x86::Gpr::r9) = 0x9A;
  ASSERT_EQ(b.svm.on_budget(), Run::exited);
  const std::vector<u8> current = b.ciphertext();
  b.put_ciphertext(launched);  // replay
  b.expect_refused();
  b.put_ciphertext(current);
  ASSERT_TRUE(b.vmrun());
  EXPECT_TRUE(b.svm.in_guest());
}

TEST(SevEsLaunch, ASaveAreaElsewhereIsNoise) {
  LaunchedBench b;
  const SystemPhysical elsewhere(0x208000 + 0x4000);
  b.dram.write(elsewhere, memory::KeyId::none, b.ciphertext());
  b.vmcb = b.peek<svm::Vmcb>(vmcb_at);
  b.vmcb.vmsa_pointer = elsewhere.value();
  b.poke(vmcb_at, b.vmcb);
  ASSERT_TRUE(b.vmrun());
  EXPECT_FALSE(b.svm.in_guest());
  EXPECT_EQ(b.exitcode(), svm::ExitCode::invalid);
}

// The checksum's address comes from the save area: under SNP it must lie in the firmware's pages,
// or an exit could write into those of another guest.
TEST(SevEsLaunch, ChecksumMustLieInFirmwareMemory) {
  GuestBench b(Kind::snp);
  b.rmp.write_entry(SystemPhysical(vmsa_at), {}, {});
  b.vmsa.sev_features = 0;
  b.vmsa.checksum_address = checksum_at;
  b.dram.write(SystemPhysical(vmsa_at), b.key(), {b.vmsa.raw, sizeof b.vmsa.raw});
  b.poke<svm::ChecksumBlock>(checksum_at, {svm::vmsa_checksum(b.vmsa.raw), {}});
  ASSERT_TRUE(b.vmrun());
  EXPECT_FALSE(b.svm.in_guest()) << "a hypervisor page";
  snp::RmpEntry entry;
  entry.set_assigned(true);
  entry.set_immutable(true);
  b.rmp.write_entry(SystemPhysical(checksum_at), entry, {});
  ASSERT_TRUE(b.vmrun());
  EXPECT_TRUE(b.svm.in_guest()) << "a firmware page";
}

}  // namespace
}  // namespace softsnp::cpu::test

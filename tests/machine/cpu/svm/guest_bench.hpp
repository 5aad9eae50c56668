// A host with SVM on, a guest's VMCB, VMSA and nested tables.
#pragma once

#include <cstring>

#include "arch/svm/vmsa_integrity.hpp"
#include "machine/cpu/svm/svm.hpp"
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {

inline constexpr u64 vmcb_at = 0x200000, vmsa_at = 0x201000, hsave_at = 0x202000,
                     checksum_at = 0x203000, iopm_at = 0x204000, msrpm_at = 0x208000,
                     npt_at = 0x210000, rmp_at = 0x1000000, rmp_size = 0x200000;
inline constexpr u32 guest_asid = 5;

struct GuestBench : Bench {
  enum class Kind { plain, sev_es, snp };

  explicit GuestBench(Kind kind) : svm(system), kind_(kind) {
    using namespace x86;
    EXPECT_TRUE(system.write_msr(msr::syscfg, msr::syscfg_bits::mem_encryption_mod_en));
    if (kind == Kind::snp) {
      EXPECT_TRUE(system.write_msr(msr::rmp_base, rmp_at));
      EXPECT_TRUE(system.write_msr(msr::rmp_end, rmp_at + rmp_size - 1));
      EXPECT_TRUE(system.write_msr(
          msr::syscfg, msr::syscfg_bits::secure_nested_paging_en | msr::syscfg_bits::vmpl_en));
    }
    EXPECT_TRUE(system.write_msr(msr::efer, state().efer | efer::svme));
    EXPECT_TRUE(system.write_msr(msr::vm_hsave_pa, hsave_at));
    memory::MemoryKey key{};
    key.bytes[0] = 0x42;
    dram.keys().install(memory::key_of(asid()), key);
    build_nested_tables();
    build_vmcb();
    build_guest_state();
    write();
  }
  Asid asid() const { return static_cast<Asid>(guest_asid); }
  memory::KeyId key() const { return memory::key_of(asid()); }

  // Identity, user, writable, 2 MiB leaves.
  void build_nested_tables() {
    poke<u64>(npt_at, (npt_at + 0x1000) | 7);
    poke<u64>(npt_at + 0x1000, (npt_at + 0x2000) | 7);
    for (u64 i = 0; i < 16; ++i) {
      poke<u64>(npt_at + 0x2000 + 8 * i, (i << 21) | 0xE7);
    }
  }
  void build_vmcb() {
    vmcb = {};
    vmcb.intercept_misc1 = svm::misc1::intr | svm::misc1::shutdown | svm::misc1::hlt;
    vmcb.intercept_misc2 = svm::misc2::vmrun | svm::misc2::vmmcall;
    vmcb.iopm_base = iopm_at;
    vmcb.msrpm_base = msrpm_at;
    vmcb.asid = guest_asid;
    vmcb.vintr = svm::vintr::v_intr_masking;
    vmcb.np_and_sev = svm::np_and_sev::np_enable;
    vmcb.ncr3 = npt_at;
    if (kind_ != Kind::plain) {
      vmcb.np_and_sev |= svm::np_and_sev::sev | svm::np_and_sev::sev_es;
      vmcb.lbr_and_virt = 1;
      vmcb.vmsa_pointer = vmsa_at;
    }
  }
  // Real mode, as Linux starts an AP (hardware sheet 8.1).
  void build_guest_state() {
    vmsa = {};
    const svm::SegmentRegister data{0, 0x93, 0xFFFF, 0};
    vmsa.es = vmsa.ss = vmsa.ds = vmsa.fs = vmsa.gs = data;
    vmsa.cs = {0x9900, 0x9A, 0xFFFF, 0x99000};
    vmsa.gdtr = vmsa.idtr = {0, 0, 0xFFFF, 0};
    vmsa.ldtr = {0, 0x82, 0xFFFF, 0};
    vmsa.tr = {0, 0x83, 0xFFFF, 0};
    vmsa.efer = x86::efer::svme;
    vmsa.cr4 = x86::cr4::mce;
    vmsa.cr0 = 0x60000010;
    vmsa.dr6 = 0xFFFF0FF0;
    vmsa.dr7 = 0x400;
    vmsa.rflags = 2;
    vmsa.g_pat = 0x0007040600070406;
    vmsa.xcr0 = 1;
    vmsa.mxcsr = 0x1F80;
    vmsa.x87_ftw = 0x5555;
    vmsa.x87_fcw = 0x40;
    vmsa.sev_features = kind_ == Kind::snp ? snp::feature::snp_active : 0;
    vmcb.es = vmcb.ss = vmcb.ds = data;
    vmcb.cs = vmsa.cs;
    vmcb.gdtr = vmcb.idtr = vmsa.gdtr;
    vmcb.efer = vmsa.efer;
    vmcb.cr4 = vmsa.cr4;
    vmcb.cr0 = vmsa.cr0;
    vmcb.dr6 = vmsa.dr6;
    vmcb.dr7 = vmsa.dr7;
    vmcb.rflags = vmsa.rflags;
    vmcb.g_pat = vmsa.g_pat;
  }
  // Into DRAM; the VMSA page is the guest's then.
  void write() {
    dram.write(SystemPhysical(vmcb_at), memory::KeyId::none, {vmcb.raw, sizeof vmcb.raw});
    if (kind_ == Kind::plain) {
      return;
    }
    if (kind_ == Kind::sev_es) {
      // As the firmware leaves it: with its checksum (hardware sheet 8.1).
      vmsa.checksum_address = checksum_at;
      poke<svm::ChecksumBlock>(checksum_at, {svm::vmsa_checksum(vmsa.raw), {}});
    }
    dram.write(SystemPhysical(vmsa_at), key(), {vmsa.raw, sizeof vmsa.raw});
    if (kind_ == Kind::snp && !rmp.entry(SystemPhysical(vmsa_at)).assigned()) {
      assign(vmsa_at, true);
    }
  }
  void assign(u64 page, bool vmsa_page, bool validated = true) {
    snp::RmpEntry entry;
    entry.set_assigned(true);
    entry.set_asid(asid());
    entry.set_gpa(GuestPhysical(page));
    entry.set_validated(validated);
    entry.set_vmsa(vmsa_page);
    entry.set_permissions(Vmpl::vmpl0, snp::permission::all);
    rmp.write_entry(SystemPhysical(page), entry, {});
  }
  void reload() {
    vmcb = peek<svm::Vmcb>(vmcb_at);
    if (kind_ != Kind::plain) {
      dram.read(SystemPhysical(vmsa_at), key(), {vmsa.raw, sizeof vmsa.raw});
    }
  }
  svm::ExitCode exitcode() { return static_cast<svm::ExitCode>(peek<svm::Vmcb>(vmcb_at).exitcode); }
  bool vmrun() { return svm.vmrun(SystemPhysical(vmcb_at)).ok(); }

  Svm svm;
  svm::Vmcb vmcb{};
  svm::Vmsa vmsa{};

 private:
  Kind kind_;
};

}  // namespace softsnp::cpu::test

// Hardware sheet 9.1: each row, and that a refusal changes nothing but the exit code.
#include <functional>

#include "tests/machine/cpu/svm/guest_bench.hpp"

namespace softsnp::cpu::test {
namespace {

using svm::ExitCode;
using Kind = GuestBench::Kind;
namespace np = svm::np_and_sev;
namespace feature = snp::feature;

struct Row {
  const char* what;
  Kind kind;
  ExitCode code;
  std::function<void(GuestBench&)> spoil;
};

u64 inject(u8 vector, unsigned type, bool error = false) {
  return svm::event::make(vector, static_cast<svm::event::Type>(type), error);
}

const Row rows[] = {
    {"VMRUN not intercepted", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.intercept_misc2 = 0; }},
    {"ASID 0", Kind::plain, ExitCode::invalid, [](auto& b) { b.vmcb.asid = 0; }},
    {"IOPM out of range", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.iopm_base = bit(52) - 0x1000; }},
    {"MSRPM out of range", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.msrpm_base = ~u64{0}; }},
    {"EVENTINJ type 1", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(32, 1); }},
    {"EVENTINJ NMI as exception", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(2, 3); }},
    {"EVENTINJ exception 40", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(40, 3); }},
    {"SEV without nested paging", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.np_and_sev &= ~np::np_enable; }},
    {"HWCR.SmmLock clear", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.platform.shared.hwcr = 0; }},
    {"ASID above the maximum", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.asid = 1007; }},
    {"SEV with an ES ASID", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.np_and_sev &= ~np::sev_es; }},
    {"32-bit host", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.state().seg[1].attributes = 0xC9B; }},
    {"SEV-ES without SEV", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.np_and_sev &= ~np::sev; }},
    {"SEV-ES without LBR virtualization", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.lbr_and_virt = 0; }},
    {"VMSA beyond DRAM", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.vmsa_pointer = dram_bytes; }},
    {"VMSA not marked", Kind::snp, ExitCode::invalid, [](auto& b) { b.assign(vmsa_at, false); }},
    {"VMSA of another ASID", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       auto e = b.rmp.entry(SystemPhysical(vmsa_at));
       e.set_asid(static_cast<Asid>(9));
       b.rmp.write_entry(SystemPhysical(vmsa_at), e, {});
     }},
    {"VMSA immutable", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       auto e = b.rmp.entry(SystemPhysical(vmsa_at));
       e.set_immutable(true);
       b.rmp.write_entry(SystemPhysical(vmsa_at), e, {});
     }},
    {"SEV-ES VMSA owned by a guest", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmsa.sev_features = 0; }},
    {"SNPActive without SNP", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmsa.sev_features = feature::snp_active; }},
    {"feature this processor lacks", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmsa.sev_features |= feature::secure_avic; }},
    {"feature bit 63", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmsa.sev_features |= bit(63); }},
    {"feature not allowed", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmcb.allowed_sev_features = bit(63) | 1;
       b.vmsa.sev_features |= feature::debug_virtualization;
     }},
    {"both injection modes", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection | feature::alternate_injection;
     }},
    {"restricted: interrupt", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(32, 0);
     }},
    {"restricted: #HV with error code", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(28, 3, true);
     }},
    {"restricted: NMI", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(2, 2);
     }},
    {"restricted: #GP", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(13, 3, true);
     }},
    {"restricted: #VC, as WeSee injects it", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(29, 3, true);
     }},
    {"restricted: interrupt 28", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.eventinj = inject(28, 0);
     }},
    {"restricted: AVIC", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::restricted_injection;
       b.vmcb.vintr |= svm::vintr::avic;
     }},
    {"#HV without restricted injection", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(28, 3); }},
    {"alternate: #HV", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::alternate_injection;
       b.vmsa.eventinj = inject(28, 3);
     }},
    {"alternate: EVENTINJ type 1 in the VMSA", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::alternate_injection;
       b.vmsa.eventinj = inject(32, 1);
     }},
    {"alternate: software interrupt", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::alternate_injection;
       b.vmsa.eventinj = inject(0x80, 4);
     }},
    {"alternate: AVIC", Kind::snp, ExitCode::invalid,
     [](auto& b) {
       b.vmsa.sev_features |= feature::alternate_injection;
       b.vmcb.vintr |= svm::vintr::avic;
     }},
    {"AVIC", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmcb.vintr |= svm::vintr::avic; }},
    {"alternate: BUSY", Kind::snp, ExitCode::busy,
     [](auto& b) {
       b.vmsa.sev_features |= feature::alternate_injection;
       b.vmsa.vintr_ctrl = bit(63);
     }},
    {"software interrupt into SEV-ES", Kind::sev_es, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(0x80, 4); }},
    {"#BP into SEV-ES", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(3, 3); }},
    {"#OF into SEV-ES", Kind::snp, ExitCode::invalid,
     [](auto& b) { b.vmcb.eventinj = inject(4, 3); }},
    {"EFER.SVME clear in the VMSA", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmsa.efer = 0; }},
    {"EFER.SVME clear in the VMCB", Kind::plain, ExitCode::invalid,
     [](auto& b) { b.vmcb.efer = 0; }},
    {"EFER reserved", Kind::plain, ExitCode::invalid, [](auto& b) { b.vmcb.efer |= bit(40); }},
    {"NW without CD", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmsa.cr0 = x86::cr0::nw; }},
    {"CR0 upper half", Kind::plain, ExitCode::invalid, [](auto& b) { b.vmcb.cr0 |= bit(40); }},
    {"CR4 reserved", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmsa.cr4 |= x86::cr4::la57; }},
    {"DR6", Kind::plain, ExitCode::invalid, [](auto& b) { b.vmcb.dr6 |= bit(32); }},
    {"DR7", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmsa.dr7 |= bit(63); }},
    {"long mode without PAE", Kind::plain, ExitCode::invalid,
     [](auto& b) {
       b.vmcb.efer |= x86::efer::lme;
       b.vmcb.cr0 = x86::cr0::pg | x86::cr0::pe;
     }},
    {"long mode without PE", Kind::plain, ExitCode::invalid,
     [](auto& b) {
       b.vmcb.efer |= x86::efer::lme;
       b.vmcb.cr0 = x86::cr0::pg;
       b.vmcb.cr4 |= x86::cr4::pae;
     }},
    {"CS.L and CS.D", Kind::plain, ExitCode::invalid,
     [](auto& b) {
       b.vmcb.efer |= x86::efer::lme;
       b.vmcb.cr0 = x86::cr0::pg | x86::cr0::pe;
       b.vmcb.cr4 |= x86::cr4::pae;
       b.vmcb.cs.attributes = 0x69B;
     }},
    {"XCR0 with AVX", Kind::snp, ExitCode::invalid, [](auto& b) { b.vmsa.xcr0 = 7; }},
};

TEST(VmrunRefusal, EachRow) {
  for (const Row& row : rows) {
    GuestBench b(row.kind);
    row.spoil(b);
    b.write();
    const u64 rip = b.state().rip;
    const u64 cr3 = b.state().cr3;
    const auto hsave = b.peek<svm::Vmsa>(hsave_at);
    ASSERT_TRUE(b.vmrun()) << row.what;
    EXPECT_FALSE(b.svm.in_guest()) << row.what;
    EXPECT_EQ(b.exitcode(), row.code) << row.what;
    EXPECT_EQ(b.recorder.refusals.size(), 1u) << row.what;
    EXPECT_NE(b.system.last_refusal().rule[0], 0) << row.what;
    EXPECT_EQ(b.state().rip, rip);
    EXPECT_EQ(b.state().cr3, cr3);
    EXPECT_EQ(std::memcmp(hsave.raw, b.peek<svm::Vmsa>(hsave_at).raw, page_size), 0) << row.what;
    EXPECT_FALSE(b.rmp.in_use(SystemPhysical(vmcb_at))) << row.what;
  }
}

TEST(VmrunRefusal, UnspoiltGuestsEnter) {
  for (Kind kind : {Kind::plain, Kind::sev_es, Kind::snp}) {
    GuestBench b(kind);
    ASSERT_TRUE(b.vmrun());
    EXPECT_TRUE(b.svm.in_guest());
    EXPECT_TRUE(b.recorder.refusals.empty());
  }
}

TEST(VmrunRefusal, SevBitsAreIgnoredWithoutMemoryEncryption) {
  GuestBench b(Kind::sev_es);
  b.platform.shared.syscfg = 0;
  b.vmcb.lbr_and_virt = 0;
  b.write();
  ASSERT_TRUE(b.vmrun());
  EXPECT_TRUE(b.svm.in_guest());
  EXPECT_FALSE(b.mmu.guest().sev_es);
}

// Row 1.
TEST(VmrunRefusal, ExceptionsOfTheInstruction) {
  const auto vector = [](Kind kind, auto spoil) {
    GuestBench b(kind);
    const u64 at = spoil(b);
    auto result = b.svm.vmrun(SystemPhysical(at));
    return result ? -1 : static_cast<int>(result.error());
  };
  EXPECT_EQ(vector(Kind::plain,
                   [](auto& b) {
                     b.state().efer &= ~x86::efer::svme;
                     return vmcb_at;
                   }),
            ud);
  EXPECT_EQ(vector(Kind::plain,
                   [](auto& b) {
                     b.state().cpl = 3;
                     return vmcb_at;
                   }),
            gp);
  EXPECT_EQ(vector(Kind::plain, [](auto&) { return vmcb_at + 8; }), gp);
  EXPECT_EQ(vector(Kind::plain, [](auto&) { return dram_bytes; }), gp);
  EXPECT_EQ(vector(Kind::plain,
                   [](auto& b) {
                     b.system.msrs().vm_hsave_pa = 0;
                     return vmcb_at;
                   }),
            gp);
  EXPECT_EQ(vector(Kind::snp,
                   [](auto& b) {
                     b.assign(vmcb_at, false);
                     return vmcb_at;
                   }),
            gp);
}

}  // namespace
}  // namespace softsnp::cpu::test

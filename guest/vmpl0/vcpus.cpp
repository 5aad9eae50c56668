// The guest's first vCPU, and the SVSM's own processors on all the others. SVSM sheet 8.1.
#include "arch/snp/features.hpp"
#include "arch/x86/msr.hpp"
#include "arch/x86/registers.hpp"
#include "guest/runtime/cpu.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/vmpl0/processors.hpp"
#include "guest/vmpl0/program.hpp"

extern "C" const char svsm_processor_entry[];

namespace softsnp::svsm {
namespace {

enum class ApRequest : u64 { create_on_init = 0, create = 1 };

// A VMSA of ours: no lower level may see it.
void make_own_vmsa(Program& program, svm::Vmsa& vmsa) {
  const RmpAnswer answer =
      program.platform.rmpadjust(physical(&vmsa), PageSize::size_4k, {Vmpl::vmpl1, 0, true});
  if (!answer.succeeded()) {
    guest::terminate(program.processor, guest::Cause::ap_not_started);
  }
}

void create(Program& program, u32 apic_id, Vmpl vmpl, ApRequest request, const svm::Vmsa& vmsa) {
  guest::GhcbClient client = own_ghcb(program);
  const guest::GhcbUse use(client);
  client.begin();
  client.set(ghcb::field::rax, vmsa.sev_features);
  const u64 info = u64{apic_id} << 32 | u64{number(vmpl)} << 16 | static_cast<u64>(request);
  if (!client.call(number(ghcb::Event::ap_creation), info, physical(&vmsa).value())) {
    guest::terminate(program.processor, guest::Cause::ap_not_started);
  }
}

svm::SegmentRegister code_segment() {
  namespace attribute = svm::attribute;
  return {guest::ExceptionTables::code_selector,
          static_cast<u16>(0xB | attribute::code_or_data | attribute::present |
                           attribute::granularity | attribute::long_mode),
          0xFFFFFFFF, 0};
}

svm::SegmentRegister data_segment() {
  namespace attribute = svm::attribute;
  return {guest::ExceptionTables::data_selector,
          static_cast<u16>(0x3 | attribute::code_or_data | attribute::present |
                           attribute::granularity | attribute::default_big),
          0xFFFFFFFF, 0};
}

svm::SegmentRegister table(const void* base, usize bytes) {
  return {0, 0, static_cast<u32>(bytes - 1), reinterpret_cast<u64>(base)};
}

// The SVSM's, which may be under restricted injection where the guest is not.
u64 own_features(Program& program) {
  return program.processor.read_msr(x86::msr::sev_status) >> snp::sev_status::feature_shift;
}

// As this processor has it; the new one starts at its own stack with its number.
void fill(Program& program, svm::Vmsa& vmsa, usize index) {
  vmsa.cs = code_segment();
  vmsa.ds = vmsa.es = vmsa.ss = vmsa.fs = vmsa.gs = data_segment();
  vmsa.gdtr = table(program.tables.gdt, sizeof program.tables.gdt);
  vmsa.idtr = table(program.tables.idt, sizeof program.tables.idt);
  vmsa.ldtr = {0, static_cast<u16>(0x2 | svm::attribute::present), 0xFFFF, 0};
  vmsa.tr = {0, static_cast<u16>(0xB | svm::attribute::present), 0xFFFF, 0};
  vmsa.efer = x86::efer::svme | x86::efer::lme | x86::efer::lma;
  vmsa.cr0 = x86::cr0::pe | x86::cr0::et | x86::cr0::pg;
  vmsa.cr3 = guest::read_cr3();
  vmsa.cr4 = program.processor.read_cr4();
  vmsa.rflags = x86::rflags::fixed1;
  vmsa.dr6 = 0xFFFF0FF0;
  vmsa.dr7 = 0x400;
  vmsa.g_pat = 0x0007040600070406;
  vmsa.xcr0 = 1;
  vmsa.mxcsr = 0x1F80;
  vmsa.x87_fcw = 0x37F;
  vmsa.rip = reinterpret_cast<u64>(svsm_processor_entry);
  vmsa.rsp = stack_top(index);
  vmsa.rdi = index;
  vmsa.sev_features = own_features(program);
}

}  // namespace

// Registered with the host at its level; it runs when VMPL0 asks for it the first time.
void make_startup_vcpu(Program& program, const boot::SvsmLaunchPages& pages) {
  svm::Vmsa& vmsa = svsm_processors.vmsas[0];
  __builtin_memcpy(&vmsa, &pages.guest, sizeof vmsa);
  vmsa.vmpl = static_cast<u8>(number(program.state.guest_vmpl));
  make_own_vmsa(program, vmsa);
  GuestVcpu& vcpu = program.state.vcpus[0];
  vcpu.vmsa = physical(&vmsa);
  vcpu.calling_area = GuestPhysical(pages.launch.calling_area);
  *program.state.vcpus.free_record() = {vcpu.vmsa, vcpu.apic_id, true};
  create(program, vcpu.apic_id, program.state.guest_vmpl, ApRequest::create_on_init, vmsa);
}

void start_processors(Program& program) {
  for (usize i = 1; i < program.state.vcpus.count(); ++i) {
    svm::Vmsa& vmsa = svsm_processors.vmsas[i];
    fill(program, vmsa, i);
    make_own_vmsa(program, vmsa);
    create(program, program.state.vcpus[i].apic_id, Vmpl::vmpl0, ApRequest::create, vmsa);
  }
}

}  // namespace softsnp::svsm

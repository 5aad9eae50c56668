#include "machine/cpu/system/vm_load_save.hpp"

namespace softsnp::cpu {
namespace {

using x86::Segment;

svm::SegmentRegister& segment(CoreState& state, Segment which) {
  return state.seg[static_cast<unsigned>(which)];
}

}  // namespace

// VMSAVE and VMLOAD are the VMCB's only users of it outside VMRUN: same ownership rule.
bool vm_page_legal(System& system, SystemPhysical page) {
  return page.is_page_aligned() && system.mmu().dram().contains(page, page_size) &&
         (!system.mmu().rmp().enabled() ||
          system.mmu().rmp().check_host_page(page) == memory::Rule::none);
}

void vm_load(System& system, SystemPhysical vmcb) {
  const auto v = load_le<svm::Vmcb>(system.mmu().frame(vmcb, memory::KeyId::none));
  CoreState& s = system.state();
  segment(s, Segment::fs) = v.fs;
  segment(s, Segment::gs) = v.gs;
  s.ldtr = v.ldtr;
  s.tr = v.tr;
  s.star = v.star;
  s.lstar = v.lstar;
  s.cstar = v.cstar;
  s.sfmask = v.sfmask;
  s.kernel_gs_base = v.kernel_gs_base;
  s.sysenter_cs = v.sysenter_cs;
  s.sysenter_esp = v.sysenter_esp;
  s.sysenter_eip = v.sysenter_eip;
}

void vm_save(System& system, SystemPhysical vmcb) {
  auto v = load_le<svm::Vmcb>(system.mmu().frame(vmcb, memory::KeyId::none));
  CoreState& s = system.state();
  v.fs = segment(s, Segment::fs);
  v.gs = segment(s, Segment::gs);
  v.ldtr = s.ldtr;
  v.tr = s.tr;
  v.star = s.star;
  v.lstar = s.lstar;
  v.cstar = s.cstar;
  v.sfmask = s.sfmask;
  v.kernel_gs_base = s.kernel_gs_base;
  v.sysenter_cs = s.sysenter_cs;
  v.sysenter_esp = s.sysenter_esp;
  v.sysenter_eip = s.sysenter_eip;
  system.mmu().dram().write(vmcb, memory::KeyId::none, {v.raw, sizeof v.raw});
}

}  // namespace softsnp::cpu

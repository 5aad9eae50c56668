#include "machine/port_implementation.hpp"

#include <algorithm>
#include <cstring>

#include "arch/x86/registers.hpp"

namespace softsnp::machine {
namespace {

HostException host_exception(x86::Vector vector) {
  return vector == x86::Vector::ud ? HostException::ud : HostException::gp;
}

// RAX and RSP of a guest are in the VMCB (APM2 15.5.1).
bool moved_by_vmrun(unsigned gpr) {
  return gpr == static_cast<unsigned>(x86::Gpr::rax) || gpr == static_cast<unsigned>(x86::Gpr::rsp);
}

}  // namespace

CpuidResult Port::cpuid(u32 leaf, u32 subleaf) const {
  const psp::CpuidValues r = package_.cpuid(leaf, subleaf);
  return {r.eax, r.ebx, r.ecx, r.edx};
}

Result<void, HostFault> Port::load(SystemPhysical at, std::span<u8> to) {
  if (!package_.dram.contains(at, to.size())) {
    return Failure{HostFault{0, at}};
  }
  package_.dram.read(at, memory::KeyId::none, to);
  return {};
}

Result<void, HostFault> Port::check_store(SystemPhysical at, u64 bytes, PageSize mapping_size) {
  if (!package_.dram.contains(at, bytes)) {
    return Failure{HostFault{0, at}};
  }
  if (!package_.rmp.enabled()) {
    return {};
  }
  for (SystemPhysical page = at.page(); page < at + bytes; page = page + page_size) {
    memory::AccessRequest request;
    request.kind = memory::AccessKind::write;
    request.spa = page;
    request.mapping_size = mapping_size;
    if (package_.rmp.check(request) != memory::Rule::none) {
      using namespace x86::pf_error;
      return Failure{HostFault{present | write | rmp, std::max(page, at)}};
    }
  }
  return {};
}

Result<void, HostFault> Port::store(SystemPhysical at, std::span<const u8> from,
                                    PageSize mapping_size) {
  if (auto allowed = check_store(at, from.size(), mapping_size); !allowed) {
    return allowed;
  }
  package_.dram.write(at, memory::KeyId::none, from);
  return {};
}

Result<void, HostFault> Port::clear_page(SystemPhysical page, PageSize mapping_size,
                                         PageSize extent) {
  const SystemPhysical first(align_down(page.value(), bytes(extent)));
  if (auto allowed = check_store(first, bytes(extent), mapping_size); !allowed) {
    return allowed;
  }
  package_.dram.release_frames(first, bytes(extent) / page_size);
  return {};
}

std::vector<DmaFault> Port::dma_faults() const {
  std::vector<DmaFault> faults;
  for (const iommu::Event& event : iommu_.log()) {
    faults.push_back({static_cast<u16>(event.device), event.address, event.write,
                      event.rule != memory::Rule::none});
  }
  return faults;
}

Result<snp::RmpResult, HostException> Port::rmpupdate(SystemPhysical page,
                                                      const snp::RmpUpdate& value) {
  if (!package_.rmp.enabled()) {
    return Failure{HostException::ud};
  }
  return package_.rmp.rmpupdate(page, value, Asid::host);
}

Result<snp::RmpResult, HostException> Port::psmash(SystemPhysical page) {
  if (!package_.rmp.enabled()) {
    return Failure{HostException::ud};
  }
  return package_.rmp.psmash(page, Asid::host);
}

Result<snp::RmpResult, HostException> Port::rmpread(SystemPhysical page, snp::RmpUpdate& out) {
  if (!package_.rmp.enabled()) {
    return Failure{HostException::ud};
  }
  return package_.rmp.rmpread(page, Asid::host, out);
}

Result<u64, HostException> Port::rdmsr(unsigned core, u32 msr) {
  u64 value = 0;
  if (core >= core_count() || !package_.processors[core]->system().read_msr(msr, value)) {
    return Failure{HostException::gp};
  }
  return value;
}

Result<void, HostException> Port::wrmsr(unsigned core, u32 msr, u64 value) {
  if (core >= core_count() || !package_.processors[core]->system().write_msr(msr, value)) {
    return Failure{HostException::gp};
  }
  package_.apply_shared_msrs();
  return {};
}

Result<void, HostException> Port::vmrun(unsigned core, SystemPhysical vmcb, u64 max_instructions) {
  if (core >= core_count()) {
    return Failure{HostException::gp};
  }
  last_core_ = core;
  if (auto ran = package_.processors[core]->vmrun(vmcb, max_instructions); !ran) {
    return Failure{host_exception(ran.error())};
  }
  return {};
}

Result<void, HostException> Port::vmload(unsigned core, SystemPhysical vmcb) {
  if (core >= core_count()) {
    return Failure{HostException::gp};
  }
  if (auto done = package_.processors[core]->svm().vmload(vmcb); !done) {
    return Failure{host_exception(done.error())};
  }
  return {};
}

Result<void, HostException> Port::vmsave(unsigned core, SystemPhysical vmcb) {
  if (core >= core_count()) {
    return Failure{HostException::gp};
  }
  if (auto done = package_.processors[core]->svm().vmsave(vmcb); !done) {
    return Failure{host_exception(done.error())};
  }
  return {};
}

void Port::write_registers(unsigned core, const CoreRegisters& from) {
  cpu::CoreState& s = package_.processors.at(core)->core().state;
  for (unsigned i = 0; i < from.gpr.size(); ++i) {
    if (!moved_by_vmrun(i)) {
      s.gpr[i] = from.gpr[i];
    }
  }
  std::copy(from.dr.begin(), from.dr.end(), s.dr);
  s.xcr0 = from.xcr0;
  s.xss = from.xss;
  s.tsc_aux = from.tsc_aux;
  s.pkru = from.pkru;
  std::memcpy(&s.fx, from.fxsave.data(), sizeof s.fx);
}

void Port::read_registers(unsigned core, CoreRegisters& to) {
  const cpu::CoreState& s = package_.processors.at(core)->core().state;
  for (unsigned i = 0; i < to.gpr.size(); ++i) {
    if (!moved_by_vmrun(i)) {
      to.gpr[i] = s.gpr[i];
    }
  }
  std::copy(s.dr, s.dr + 4, to.dr.begin());
  to.xcr0 = s.xcr0;
  to.xss = s.xss;
  to.tsc_aux = static_cast<u32>(s.tsc_aux);
  to.pkru = static_cast<u32>(s.pkru);
  std::memcpy(to.fxsave.data(), &s.fx, sizeof s.fx);
}

u16 Port::psp_command(u32 command, SystemPhysical buffer) {
  return static_cast<u16>(psp_.command(command, buffer));
}

void Port::idle_until(u64 tsc) {
  package_.clock.now = std::max(package_.clock.now, tsc);
}

}  // namespace softsnp::machine

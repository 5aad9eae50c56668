// Nested page faults, and MMIO of plain guests.
#include <cerrno>

#include "arch/snp/features.hpp"
#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/hex.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {

// The same fault so often, with nothing in between: it will not go away by itself. Another vCPU may
// resolve it, and gets as many turns for it.
constexpr u32 max_repeats = 1000, max_turns = 1000;

std::string explain(u64 exitinfo1) {
  std::string text;
  const auto add = [&](u64 bits, const char* meaning) {
    if ((exitinfo1 & bits) != 0) {
      text += text.empty() ? meaning : std::string(", ") + meaning;
    }
  };
  add(x86::pf_error::write, "write");
  add(x86::pf_error::fetch, "instruction fetch");
  add(snp::npf::page_table, "guest page-table walk");
  add(snp::npf::enc, "private (C=1)");
  add(snp::npf::rmp, "RMP check failed");
  add(snp::npf::sizem, "page size differs from the RMP");
  add(snp::npf::vmpl, "VMPL permission denied");
  return text.empty() ? "read" : text;
}

}  // namespace

VcpuImpl::Exit VcpuImpl::fault_loop(GuestPhysical gpa, u64 exitinfo1) {
  if (last_fault_.gpa != gpa || last_fault_.exitinfo1 != exitinfo1) {
    last_fault_ = {gpa, exitinfo1, 0};
  }
  if (++last_fault_.repeats % max_repeats != 0) {
    return std::nullopt;
  }
  if (last_fault_.repeats / max_repeats < max_turns && vm_.vcpus.others_can_run(index_)) {
    turn_end_ = TurnEnd::spins;
    return std::nullopt;
  }
  last_fault_ = {};
  return KvmExit(NoProgressExit{"the nested page fault at gPA " + hex(gpa.value()) +
                                " repeats and cannot be resolved (" + explain(exitinfo1) +
                                "); behind it: " + vm_.memory.describe(gpa)});
}

VcpuImpl::Exit VcpuImpl::handle_npf() {
  ++vm_.counters.npf;
  const GuestPhysical gpa(vmcb_.exitinfo2);
  const u64 info = vmcb_.exitinfo1;
  const GuestMemory::FaultAnswer answer = vm_.memory.handle_fault(gpa, info);
  const bool is_mmio = !vm_.hides_registers() && !answer.has_slot;
  const NpfResolution resolution = is_mmio ? NpfResolution::mmio_emulated : answer.resolution;
  vm_.observer.npf({index_, gpa, info, resolution, vmpl_});
  if (is_mmio) {
    last_fault_ = {};
    return emulate_mmio(emulator_.start());
  }
  if (Exit exit = fault_loop(gpa, info)) {
    return exit;
  }
  switch (resolution) {
    case NpfResolution::mapped_4k:
    case NpfResolution::mapped_2m:
    case NpfResolution::mmio_entry:
    case NpfResolution::mmio_emulated:
    case NpfResolution::smashed:
    case NpfResolution::split:
    case NpfResolution::spurious:
    case NpfResolution::unresolved:
      return std::nullopt;
    case NpfResolution::mismatch:
      return KvmExit(MemoryFaultExit{gpa.page(), page_size, (info & snp::npf::enc) != 0});
    case NpfResolution::out_of_memory:
      return KvmExit(
          InternalErrorExit{ENOMEM, "the host has no page left for gPA " + hex(gpa.value())});
    case NpfResolution::no_backing:
      return KvmExit(InternalErrorExit{
          EFAULT, "the VMM has no memory behind the slot at gPA " + hex(gpa.value())});
  }
  return std::nullopt;
}

VcpuImpl::Exit VcpuImpl::emulate_mmio(MmioEmulator::Outcome outcome) {
  if (std::holds_alternative<MmioEmulator::Done>(outcome)) {
    return std::nullopt;
  }
  if (const auto* ask = std::get_if<MmioEmulator::Ask>(&outcome)) {
    ++vm_.counters.mmio_exits;
    if (ask->exit.write) {
      pending_ = PlainMmioWrite{};
    } else {
      pending_ = PlainMmioRead{};
    }
    return KvmExit(ask->exit);
  }
  if (const auto* fault = std::get_if<TranslationFault>(&outcome)) {
    queue_page_fault(*fault);
    return std::nullopt;
  }
  return KvmExit(InternalErrorExit{
      EINVAL, "emulation failed: " + std::get<MmioEmulator::Unsupported>(outcome).what + " (RIP " +
                  hex(vmcb_.rip) + ", gPA " + hex(vmcb_.exitinfo2) + ")"});
}

bool VcpuImpl::owns(GuestPhysical gpa) const {
  return apic().owns_mmio(gpa.value());
}

u64 VcpuImpl::read(GuestPhysical gpa, unsigned size) {
  const u32 offset = static_cast<u32>(gpa.page_offset());
  const u64 value = apic().read(offset & ~15u, time());
  // Narrow reads see their bytes of the 32-bit register (APM2 16.3.2).
  return size >= 4 ? value : (value >> (8 * (offset & 3))) & mask_bits(size * 8 - 1, 0);
}

void VcpuImpl::write(GuestPhysical gpa, unsigned size, u64 value) {
  // KVM drops writes that are not 32 bits wide on a 16-byte boundary.
  const u32 offset = static_cast<u32>(gpa.page_offset());
  if (size == 4 && (offset & 15) == 0) {
    note_level_eoi(apic().write(offset, static_cast<u32>(value), time()));
    send_ipi();
  }
}

}  // namespace softsnp::kvm

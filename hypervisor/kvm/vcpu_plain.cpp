// Intercepted instructions of a guest without SEV-ES: the hypervisor sees and changes registers.
#include <algorithm>

#include "arch/x86/registers.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace ioio = svm::ioio;
namespace {
constexpr usize rcx = 1, rdx = 2, rbx = 3, rsi = 6, rdi = 7;
constexpr i64 kvm_enosys = 1000, kvm_eperm = 1;
constexpr u64 xcr0_x87 = 1, xcr0_sse = 2, xcr0_avx = 4;
}  // namespace

CpuidState VcpuImpl::cpuid_state() const {
  CpuidState state;
  state.apic_id = apic_id_;
  state.apic_enabled = apic().is_enabled();
  state.cr4 = vm_.hides_registers() ? current().trapped.cr4 : vmcb_.cr4;
  state.xcr0 = registers_.xcr0;
  state.xss = registers_.xss;
  return state;
}

void VcpuImpl::skip_instruction() {
  vmcb_.rip = vmcb_.nrip;
  vmcb_.interrupt_state &= ~svm::interrupt_state::shadow;
}

void VcpuImpl::plain_cpuid() {
  ++vm_.counters.cpuid;
  const machine::CpuidResult r = cpuid_.lookup(
      static_cast<u32>(vmcb_.rax), static_cast<u32>(registers_.gpr[rcx]), cpuid_state());
  vmcb_.rax = r.eax;
  registers_.gpr[rbx] = r.ebx;
  registers_.gpr[rcx] = r.ecx;
  registers_.gpr[rdx] = r.edx;
  skip_instruction();
}

void VcpuImpl::plain_msr() {
  const u32 number = static_cast<u32>(registers_.gpr[rcx]);
  if (vmcb_.exitinfo1 != 0) {
    const u64 value = (registers_.gpr[rdx] << 32) | (vmcb_.rax & 0xFFFFFFFF);
    if (!write_msr(number, value)) {
      queue_exception(x86::Vector::gp, 0);
      return;
    }
  } else {
    const std::optional<u64> value = read_msr(number);
    if (!value) {
      queue_exception(x86::Vector::gp, 0);
      return;
    }
    vmcb_.rax = *value & 0xFFFFFFFF;
    registers_.gpr[rdx] = *value >> 32;
  }
  skip_instruction();
}

// APM2 11.5.2: x87 always on, AVX only with SSE, nothing the processor lacks.
void VcpuImpl::plain_xsetbv() {
  const u64 value = (registers_.gpr[rdx] << 32) | (vmcb_.rax & 0xFFFFFFFF);
  const machine::CpuidResult offered = cpuid_.lookup(0xD, 0, cpuid_state());
  const u64 supported = u64{offered.edx} << 32 | offered.eax;
  if (vmcb_.cpl != 0 || static_cast<u32>(registers_.gpr[rcx]) != 0 || (value & xcr0_x87) == 0 ||
      (value & ~supported) != 0 || ((value & xcr0_avx) != 0 && (value & xcr0_sse) == 0)) {
    queue_exception(x86::Vector::gp, 0);
    return;
  }
  registers_.xcr0 = value;
  skip_instruction();
}

// The one hypercall that is offered, to SEV guests alone: KVM_HC_MAP_GPA_RANGE (GHCB sheet 5).
std::optional<KvmExit> VcpuImpl::hypercall(u64 number, const std::array<u64, 3>& arguments) const {
  if (!vm_.is_sev() || number != hypercall_map_gpa_range) {
    return std::nullopt;
  }
  return KvmExit(HypercallExit{number, arguments});
}

// KVM's answers to the others: GHCB sheet 5.
VcpuImpl::Exit VcpuImpl::plain_vmmcall() {
  const u64 number = vmcb_.rax;
  if (vmcb_.cpl == 0) {
    Exit exit = hypercall(number, {registers_.gpr[rbx], registers_.gpr[rcx], registers_.gpr[rdx]});
    if (exit) {
      pending_ = PlainHypercall{};
      return exit;
    }
  }
  vmcb_.rax = static_cast<u64>(vmcb_.cpl != 0 ? -kvm_eperm : -kvm_enosys);
  skip_instruction();
  return std::nullopt;
}

void VcpuImpl::finish_io() {
  vmcb_.rip = vmcb_.exitinfo2;
  vmcb_.interrupt_state &= ~svm::interrupt_state::shadow;
}

VcpuImpl::Exit VcpuImpl::plain_io() {
  const u64 info = vmcb_.exitinfo1;
  if ((info & ioio::string) != 0) {
    return plain_string_io();
  }
  ++vm_.counters.io_exits;
  IoExit exit;
  exit.in = (info & ioio::in) != 0;
  exit.size = static_cast<u8>(get_bits(info, 6, 4));
  exit.port = static_cast<u16>(info >> ioio::port_shift);
  if (exit.in) {
    pending_ = PlainIn{exit.size};
  } else {
    const u64 value = vmcb_.rax;
    const u8* bytes = reinterpret_cast<const u8*>(&value);
    exit.data.assign(bytes, bytes + exit.size);
    finish_io();
  }
  return KvmExit(std::move(exit));
}

// What INS and OUTS address: ES:rDI for INS, the segment of EXITINFO1 for OUTS (hardware
// sheet 8.2).
struct StringIo {
  bool in = false;
  bool up = true;
  u8 size = 1;
  u64 mask = 0;
  u64 base = 0;
  u64 count = 0;
};

static StringIo decode_string_io(const svm::Vmcb& vmcb, const machine::CoreRegisters& registers) {
  const u64 info = vmcb.exitinfo1;
  StringIo io;
  io.in = (info & ioio::in) != 0;
  io.up = (vmcb.rflags & x86::rflags::df) == 0;
  io.size = static_cast<u8>(get_bits(info, 6, 4));
  const bool is_64bit = (info & ioio::addr64) != 0;
  io.mask = is_64bit ? ~u64{0} : (info & ioio::addr32) != 0 ? 0xFFFFFFFF : 0xFFFF;
  const svm::SegmentRegister segments[] = {vmcb.es, vmcb.cs, vmcb.ss, vmcb.ds, vmcb.fs, vmcb.gs};
  const u64 index = io.in ? 0 : std::min<u64>(get_bits(info, 12, 10), 5);
  io.base = is_64bit && index < 4 ? 0 : segments[index].base;
  const u64 left = (info & ioio::rep) != 0 ? registers.gpr[rcx] & io.mask : 1;
  // As KVM: at most one page an exit; downward one element at a time.
  io.count = std::min<u64>(left, io.up ? page_size / std::max<u64>(io.size, 1) : 1);
  return io;
}

static void advance_string(machine::CoreRegisters& registers, usize index, const StringIo& io,
                           bool is_repeated) {
  const auto set = [&io](u64& reg, u64 value) {
    reg = io.mask == 0xFFFF ? (reg & ~io.mask) | (value & io.mask) : value & io.mask;
  };
  const u64 moved = io.count * io.size;
  set(registers.gpr[index], registers.gpr[index] + (io.up ? moved : u64{0} - moved));
  if (is_repeated) {
    set(registers.gpr[rcx], registers.gpr[rcx] - io.count);
  }
}

VcpuImpl::Exit VcpuImpl::plain_string_io() {
  // KVM cannot read what the string's address is made of if the guest's memory is encrypted
  // (svm_check_emulate_instruction()); Linux unrolls its string I/O there.
  if (has_encrypted_memory(vm_.type)) {
    queue_exception(x86::Vector::ud);
    return std::nullopt;
  }
  const StringIo io = decode_string_io(vmcb_, registers_);
  const bool is_repeated = (vmcb_.exitinfo1 & ioio::rep) != 0;
  if (io.count == 0 || io.size == 0) {
    finish_io();
    return std::nullopt;
  }
  IoExit exit;
  exit.in = io.in;
  exit.size = io.size;
  exit.port = static_cast<u16>(vmcb_.exitinfo1 >> ioio::port_shift);
  exit.count = static_cast<u32>(io.count);
  if (io.in) {
    ++vm_.counters.io_exits;
    pending_ = PlainStringIn{io.size, io.count};
    return KvmExit(std::move(exit));
  }
  exit.data.resize(io.count * io.size);
  const GuestVirtual at(io.base + (registers_.gpr[rsi] & io.mask));
  if (const auto copied = copy_guest(at, exit.data, AccessKind::read); !copied) {
    queue_page_fault(copied.error());
    return std::nullopt;
  }
  ++vm_.counters.io_exits;
  advance_string(registers_, rsi, io, is_repeated);
  if (!is_repeated || (registers_.gpr[rcx] & io.mask) == 0) {
    finish_io();
  }
  return KvmExit(std::move(exit));
}

void VcpuImpl::finish_string_in(const PlainStringIn& in) {
  StringIo io = decode_string_io(vmcb_, registers_);
  io.count = in.count;
  std::vector<u8> bytes = take_answer(in.count * in.size);
  const GuestVirtual at(io.base + (registers_.gpr[rdi] & io.mask));
  if (const auto copied = copy_guest(at, bytes, AccessKind::write); !copied) {
    queue_page_fault(copied.error());
    return;
  }
  const bool is_repeated = (vmcb_.exitinfo1 & ioio::rep) != 0;
  advance_string(registers_, rdi, io, is_repeated);
  if (!is_repeated || (registers_.gpr[rcx] & io.mask) == 0) {
    finish_io();
  }
}

Result<void, TranslationFault> VcpuImpl::copy_guest(GuestVirtual at, std::span<u8> bytes,
                                                    AccessKind kind) {
  const GuestTranslation translation(vm_.memory, vmcb_);
  while (!bytes.empty()) {
    const auto gpa = translation.translate(at, kind);
    if (!gpa) {
      return Failure{gpa.error()};
    }
    const usize part = std::min<u64>(bytes.size(), page_size - gpa->page_offset());
    // Memory that is not there reads as it is and swallows writes.
    (void)(kind == AccessKind::write ? vm_.memory.write_shared(*gpa, bytes.first(part))
                                     : vm_.memory.read_shared(*gpa, bytes.first(part)))
        .ok();
    bytes = bytes.subspan(part);
    at = at + part;
  }
  return {};
}

void VcpuImpl::queue_page_fault(const TranslationFault& fault) {
  vmcb_.cr2 = fault.address.value();
  queue_exception(x86::Vector::pf, fault.error_code);
}

}  // namespace softsnp::kvm

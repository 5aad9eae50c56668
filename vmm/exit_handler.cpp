#include "vmm/exit_handler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "vmm/explain.hpp"

namespace softsnp::vmm {
namespace {

using Kind = OutcomeKind;

// KVM hands over at most a page of string data at once (GHCB sheet 5).
constexpr u64 most_io_bytes = page_size;

bool well_formed(const kvm::IoExit& exit) {
  const bool size_known = exit.size == 1 || exit.size == 2 || exit.size == 4;
  const u64 bytes = u64{exit.size} * exit.count;
  return size_known && bytes <= most_io_bytes && (exit.in || exit.data.size() == bytes);
}

// The others are the whole guest's: it was asked for, or no vCPU can go on.
bool is_of_one_vcpu(Kind kind) {
  return kind == Kind::terminated || kind == Kind::triple_fault || kind == Kind::entry_refused ||
         kind == Kind::internal_fault;
}

}  // namespace

ExitHandler::Answer ExitHandler::answer(const kvm::VmExit& exit, VcpuNames names) {
  vcpu_ = exit.vcpu;
  Answer end = std::visit(*this, exit.exit);
  if (end && names == VcpuNames::shown && is_of_one_vcpu(end->kind)) {
    end->text = fmt::format("vCPU {}: {}", exit.vcpu->index(), end->text);
  }
  return end;
}

ExitHandler::Answer ExitHandler::requested_end() const {
  const auto& request = board_.end_request();
  if (!request) {
    return std::nullopt;
  }
  switch (request->kind) {
    case EndRequest::Kind::power_off:
      return outcome(Kind::powered_off, "the guest powered off");
    case EndRequest::Kind::reset:
      return outcome(Kind::reset, "the guest asked for a reset");
    case EndRequest::Kind::debug_exit:
      break;
  }
  RunOutcome end = outcome(Kind::debug_exit, fmt::format("the guest left through isa-debug-exit "
                                                         "with value {:#x}",
                                                         request->value));
  end.status = static_cast<int>((request->value << 1 | 1) & 0xFF);
  return end;
}

ExitHandler::Answer ExitHandler::port_in(const kvm::IoExit& exit) {
  std::vector<u8> bytes(usize{exit.size} * exit.count);
  for (usize at = 0; at < bytes.size(); at += exit.size) {
    const u32 value = board_.read_port(exit.port, exit.size);
    std::memcpy(&bytes[at], &value, exit.size);
  }
  vcpu_->complete_io(bytes);
  return std::nullopt;
}

ExitHandler::Answer ExitHandler::port_out(const kvm::IoExit& exit) {
  for (usize at = 0; at < exit.data.size(); at += exit.size) {
    u32 value = 0;
    std::memcpy(&value, &exit.data[at], exit.size);
    board_.write_port(exit.port, exit.size, value);
    if (board_.end_request()) {
      break;
    }
  }
  return requested_end();
}

ExitHandler::Answer ExitHandler::operator()(const kvm::IoExit& exit) {
  if (!well_formed(exit)) {
    return outcome(Kind::internal_fault,
                   fmt::format("malformed I/O exit: port {:#x}, size {}, count {}, {} bytes",
                               exit.port, exit.size, exit.count, exit.data.size()));
  }
  return exit.in ? port_in(exit) : port_out(exit);
}

ExitHandler::Answer ExitHandler::operator()(const kvm::MmioExit& exit) {
  std::array<u8, 8> data = exit.data;
  const std::span<u8> bytes(data.data(), std::min<usize>(exit.length, data.size()));
  if (exit.write) {
    board_.write_memory(exit.address, bytes);
    vm_.set_ioapic_level_vectors(board_.ioapic().level_vectors());
  } else {
    board_.read_memory(exit.address, bytes);
    vcpu_->complete_mmio(bytes);
  }
  return std::nullopt;
}

ExitHandler::Answer ExitHandler::operator()(const kvm::HypercallExit& exit) {
  vcpu_->complete_hypercall(conversion_.map_gpa_range(exit));
  return std::nullopt;
}

// Too small a buffer is left as it is: the guest learns how large it must be.
ExitHandler::Answer ExitHandler::operator()(const kvm::CertificatesExit& exit) {
  const u64 needed = align_up(certificates_.size(), page_size) >> page_shift;
  if (exit.npages < needed) {
    vcpu_->complete_certificates(ENOSPC, needed);
    return std::nullopt;
  }
  const bool written = vm_.write_shared(exit.gpa, certificates_).ok();
  vcpu_->complete_certificates(written ? 0 : EIO, needed);
  return std::nullopt;
}

ExitHandler::Answer ExitHandler::operator()(const kvm::MemoryFaultExit& exit) {
  if (const auto problem = conversion_.memory_fault(exit)) {
    return outcome(Kind::no_progress, *problem);
  }
  return std::nullopt;
}

ExitHandler::Answer ExitHandler::operator()(const kvm::TerminationExit& exit) {
  return outcome(Kind::terminated, termination_text(exit));
}

ExitHandler::Answer ExitHandler::operator()(const kvm::IoapicEoiExit& exit) {
  board_.ioapic().end_of_interrupt(exit.vector);
  vm_.set_ioapic_level_vectors(board_.ioapic().level_vectors());
  return std::nullopt;
}

ExitHandler::Answer ExitHandler::operator()(const kvm::ShutdownExit&) {
  return outcome(Kind::triple_fault,
                 "the guest shut down by a triple fault: an exception could not be delivered, nor "
                 "the double fault after it\n  " +
                     register_text(vcpu_->state()));
}

ExitHandler::Answer ExitHandler::operator()(const kvm::FailEntryExit& exit) {
  return outcome(Kind::entry_refused,
                 fmt::format("VMRUN refused (exit code {:#x}): {}", exit.exit_code, exit.why));
}

ExitHandler::Answer ExitHandler::operator()(const kvm::NoProgressExit& exit) {
  return outcome(Kind::no_progress, "the guest makes no progress: " + exit.why);
}

ExitHandler::Answer ExitHandler::operator()(const kvm::InternalErrorExit& exit) {
  return outcome(Kind::internal_fault,
                 fmt::format("the hypervisor stopped the guest: {} (errno {}: {})", exit.why,
                             exit.error, std::strerror(exit.error)));
}

ExitHandler::Answer ExitHandler::operator()(const kvm::InterruptedExit&) {
  return std::nullopt;
}

}  // namespace softsnp::vmm

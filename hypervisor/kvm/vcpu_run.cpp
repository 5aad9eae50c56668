// KVM_RUN: what happens around VMRUN.
#include <algorithm>
#include <cerrno>

#include "base/bytes.hpp"
#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {

// The control area up to the last field we use, and the save area of plain guests.
constexpr usize control_bytes = 0x160;
constexpr usize save_offset = svm::vmcb_control_bytes, save_end = 0x680;

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

ApicTime VcpuImpl::time() const {
  return {vm_.port().tsc(), vm_.port().tsc_frequency_hz(), vm_.tsc_offset};
}

KvmExit VcpuImpl::run(u64 deadline_tsc) {
  if (!runnable_) {
    return InternalErrorExit{ENOEXEC, "the vCPU has no state to run"};
  }
  if (Exit exit = resume()) {
    return *std::move(exit);
  }
  while (true) {
    if (Exit exit = before_entry(deadline_tsc)) {
      return *std::move(exit);
    }
    if (Exit exit = enter(quantum(deadline_tsc))) {
      return *std::move(exit);
    }
    if (Exit exit = handle_exit()) {
      return *std::move(exit);
    }
  }
}

VcpuImpl::Exit VcpuImpl::before_entry(u64 deadline_tsc) {
  while (true) {
    if (level_eoi_) {
      const u8 vector = *level_eoi_;
      level_eoi_.reset();
      return KvmExit(IoapicEoiExit{vector});
    }
    const u64 now = vm_.port().tsc();
    if (now >= deadline_tsc || (vm_.next_device_event != 0 && now >= vm_.next_device_event)) {
      return KvmExit(InterruptedExit{});
    }
    lapic_.advance(time());
    nmi_pending_ = lapic_.take_nmi() || nmi_pending_;
    if (extint_window_wanted_ && ready_for_extint()) {
      return KvmExit(InterruptedExit{});
    }
    if (held_in_reset_) {
      return KvmExit(NoProgressExit{
          "the vCPU asked for AP reset hold, and there is no other vCPU to send it INIT-SIPI"});
    }
    if (!halted_ || has_wake_event()) {
      halted_ = false;
      return std::nullopt;
    }
    if (Exit exit = idle(deadline_tsc)) {
      return exit;
    }
  }
}

// HLT: time jumps to the next event.
VcpuImpl::Exit VcpuImpl::idle(u64 deadline_tsc) {
  if (!interrupt_flag()) {
    return KvmExit(NoProgressExit{
        "HLT with interrupts disabled, and nothing that could send an NMI: the guest stands still "
        "for ever"});
  }
  u64 until = deadline_tsc;
  if (vm_.next_device_event != 0) {
    until = std::min(until, vm_.next_device_event);
  }
  if (lapic_.timer_can_interrupt()) {
    until = std::min(until, lapic_.next_timer());
  }
  vm_.port().idle_until(until);
  return std::nullopt;
}

bool VcpuImpl::halted() const {
  return halted_ && !lapic_.timer_can_interrupt();
}

u64 VcpuImpl::quantum(u64 deadline_tsc) const {
  // An NMI that finds the door closed tries again after one instruction: no intercept tells when.
  if ((nmi_pending_ && !nmi_masked_) || iret_at_) {
    return 1;
  }
  const u64 now = vm_.port().tsc();
  u64 until = deadline_tsc;
  if (vm_.next_device_event != 0) {
    until = std::min(until, vm_.next_device_event);
  }
  if (lapic_.next_timer() != 0) {
    until = std::min(until, lapic_.next_timer());
  }
  return until > now ? until - now : 1;
}

VcpuImpl::Exit VcpuImpl::enter(u64 max_instructions) {
  flush_ghcb();
  update_clock();
  prepare_injection();
  const bool must_flush = flushed_at_shrink_ != vm_.memory.shrink_count();
  vmcb_.tlb_control =
      static_cast<u8>(must_flush ? svm::TlbControl::this_asid : svm::TlbControl::none);
  flushed_at_shrink_ = vm_.memory.shrink_count();
  vmcb_.clean_bits = 0;
  vmcb_.tsc_offset = vm_.tsc_offset;

  host::HostMemory& memory = vm_.host.memory;
  machine::HostPort& port = vm_.port();
  memory.store_own(vmcb_page_, std::span<const u8>(vmcb_.raw, control_bytes));
  const bool is_plain = !vm_.hides_registers();
  if (is_plain) {
    memory.store_own(vmcb_page_ + save_offset,
                     std::span<const u8>(vmcb_.raw + save_offset, save_end - save_offset));
    port.write_registers(core_, registers_);
    if (!port.vmload(core_, vmcb_page_)) {
      return KvmExit(FailEntryExit{0, "VMLOAD raised an exception"});
    }
  }
  ++vm_.counters.vmruns;
  const auto ran = port.vmrun(core_, vmcb_page_, max_instructions);
  if (!ran) {
    return KvmExit(FailEntryExit{
        0, ran.error() == machine::HostException::gp
               ? "VMRUN raised #GP: the VMCB page is not the host's, or VM_HSAVE_PA is not set"
               : "VMRUN raised #UD: EFER.SVME is clear"});
  }
  if (is_plain) {
    if (!port.vmsave(core_, vmcb_page_)) {
      return KvmExit(FailEntryExit{0, "VMSAVE raised an exception"});
    }
    port.read_registers(core_, registers_);
    memory.load_own(vmcb_page_ + save_offset,
                    std::span<u8>(vmcb_.raw + save_offset, save_end - save_offset));
  }
  memory.load_own(vmcb_page_, std::span<u8>(vmcb_.raw, control_bytes));
  sync_tpr_from_vmcb();
  note_iret_progress();
  take_interrupted_event();
  return std::nullopt;
}

void VcpuImpl::complete_io(std::span<const u8> bytes) {
  answer_bytes_.assign(bytes.begin(), bytes.end());
}
void VcpuImpl::complete_mmio(std::span<const u8> bytes) {
  answer_bytes_.assign(bytes.begin(), bytes.end());
}
void VcpuImpl::complete_hypercall(u64 ret) {
  answer_return_ = ret;
}

// A VMM that did not answer is a bus that nobody drives.
std::vector<u8> VcpuImpl::take_answer(usize length) {
  std::vector<u8> bytes = std::exchange(answer_bytes_, {});
  bytes.resize(length, 0xFF);
  return bytes;
}

// The second half of the exit that the VMM has dealt with.
VcpuImpl::Exit VcpuImpl::resume() {
  const Pending pending = std::exchange(pending_, NothingPending{});
  const u64 ret = answer_return_.value_or(ENOSYS);
  answer_return_.reset();
  const auto little_endian = [](const std::vector<u8>& bytes) {
    u64 value = 0;
    std::copy(bytes.begin(), bytes.begin() + std::min<i64>(8, std::ssize(bytes)),
              reinterpret_cast<u8*>(&value));
    return value;
  };
  return std::visit(
      Overloaded{
          [](NothingPending) -> Exit { return std::nullopt; },
          [&](GhcbIn in) -> Exit {
            const u64 value = little_endian(take_answer(in.size));
            request_.rax =
                in.size == 4 ? value : with_bits(request_.rax, in.size * 8u - 1, 0, value);
            return std::nullopt;
          },
          [&](GhcbStringIn in) -> Exit {
            (void)vm_.memory.write_shared(GuestPhysical(in.scratch), take_answer(in.length)).ok();
            return std::nullopt;
          },
          [&](GhcbMmioRead in) -> Exit {
            (void)vm_.memory.write_shared(GuestPhysical(in.scratch), take_answer(in.length)).ok();
            return std::nullopt;
          },
          [&](PscByMsr psc) -> Exit {
            answer_msr(psc.request, ghcb::page_state_change_response(
                                        ret == 0 ? 0 : ghcb::page_state_change_failed));
            return std::nullopt;
          },
          [&](PscByEvent) -> Exit {
            if (ret != 0) {
              respond(0, ghcb::page_state_error::generic);
              return std::nullopt;
            }
            page_state_.complete_run();
            return continue_page_state();
          },
          [&](GhcbHypercall) -> Exit {
            request_.rax = u64{0} - ret;
            return std::nullopt;
          },
          [&](PlainHypercall) -> Exit {
            vmcb_.rax = u64{0} - ret;
            skip_instruction();
            return std::nullopt;
          },
          [&](CertificatesWanted) -> Exit { return continue_with_certificates(); },
          [&](PlainIn in) -> Exit {
            const u64 value = little_endian(take_answer(in.size));
            vmcb_.rax = in.size == 4 ? value : with_bits(vmcb_.rax, in.size * 8u - 1, 0, value);
            finish_io();
            return std::nullopt;
          },
          [&](const PlainStringIn& in) -> Exit {
            finish_string_in(in);
            return std::nullopt;
          },
          [&](PlainMmioRead) -> Exit {
            emulator_.answer(little_endian(take_answer(8)));
            return emulate_mmio(emulator_.run());
          },
          [](PlainMmioWrite) -> Exit { return std::nullopt; }},
      pending);
}

}  // namespace softsnp::kvm

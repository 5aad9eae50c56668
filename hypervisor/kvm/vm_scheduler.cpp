#include "hypervisor/kvm/vm_scheduler.hpp"

#include <algorithm>
#include <cerrno>

#include "hypervisor/kvm/vcpu.hpp"

namespace softsnp::kvm {
namespace {

// A turn, in instructions: long beside what a change of the guest costs a core, short beside the
// guest's clock tick.
constexpr u64 turn_instructions = 50'000;
// What is left to a vCPU that sent an IPI: enough to send to others in the same loop.
constexpr u64 instructions_after_ipi = 2'000;

}  // namespace

// While the others wait, the turn lasts until a timer wakes one of them.
u64 VmScheduler::turn_limit(u64 deadline_tsc) const {
  if (vm_.vcpus.size() == 1) {
    return deadline_tsc;
  }
  if (vm_.vcpus.others_can_run(turn_)) {
    return turn_end_;
  }
  u64 limit = deadline_tsc;
  for (const auto& vcpu : vm_.vcpus) {
    const u64 wake = vcpu->index() == turn_ ? 0 : vcpu->next_wake();
    limit = wake == 0 ? limit : std::min(limit, wake);
  }
  return std::max(limit, turn_end_);
}

// To the next that has something to do, by index. False: all wait.
bool VmScheduler::give_turn() {
  const usize count = vm_.vcpus.size();
  for (usize step = 0; step < count; ++step) {
    const usize next = (next_ + step) % count;
    if (vm_.vcpus[next].poll()) {
      if (next != turn_) {
        vm_.vcpus[next].scheduled_in();
      }
      turn_ = next;
      next_ = next + 1;
      turn_end_ = vm_.port().tsc() + turn_instructions;
      in_turn_ = true;
      return true;
    }
  }
  return false;
}

VmExit VmScheduler::run(u64 deadline_tsc) {
  if (vm_.vcpus.size() == 0) {
    return {nullptr, InternalErrorExit{EINVAL, "the VM has no vCPU"}};
  }
  while (true) {
    if (!in_turn_ && !give_turn()) {
      if (auto exit = idle(deadline_tsc)) {
        return *std::move(exit);
      }
      continue;
    }
    VcpuImpl& vcpu = vm_.vcpus[turn_];
    VcpuImpl::TurnResult result = vcpu.take_turn(turn_limit(deadline_tsc), deadline_tsc);
    if (result.exit) {
      return {&vcpu, *std::move(result.exit)};
    }
    if (result.end == TurnEnd::sent_ipi) {
      const u64 now = vm_.port().tsc();
      const u64 soon = now + instructions_after_ipi;
      turn_end_ = turn_end_ > now ? std::min(turn_end_, soon) : soon;
    } else {
      end_turn();
    }
  }
}

std::string VmScheduler::describe_waits() const {
  std::string text;
  for (const auto& vcpu : vm_.vcpus) {
    text += (text.empty() ? "vCPU " : "; vCPU ") + std::to_string(vcpu->index()) + " (APIC id " +
            std::to_string(vcpu->apic_id()) + "): " + vcpu->describe_wait();
  }
  return text;
}

// The clock jumps to what comes first; a device's interrupt may come at any time.
std::optional<VmExit> VmScheduler::idle(u64 deadline_tsc) {
  VcpuImpl& vcpu = vm_.vcpus[turn_];
  const u64 now = vm_.port().tsc();
  const u64 device = vm_.next_device_event;
  if (now >= deadline_tsc || (device != 0 && now >= device)) {
    return VmExit{&vcpu, InterruptedExit{}};
  }
  u64 until = device != 0 ? std::min(device, deadline_tsc) : deadline_tsc;
  bool can_wake = false;
  for (const auto& each : vm_.vcpus) {
    can_wake = can_wake || each->can_be_interrupted();
    const u64 wake = each->next_wake();
    until = wake == 0 ? until : std::min(until, wake);
  }
  if (!can_wake) {
    return VmExit{&vcpu, NoProgressExit{"the guest stands still for ever: " + describe_waits()}};
  }
  vm_.port().idle_until(until);
  return std::nullopt;
}

}  // namespace softsnp::kvm

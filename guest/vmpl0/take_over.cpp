// The launch pages become the SVSM's state. They are measured with it: what they say is so.
#include "guest/vmpl0/processors.hpp"
#include "guest/vmpl0/program.hpp"

namespace softsnp::svsm {
namespace {

Stretch stretch(const boot::SvsmRange& range) {
  return {GuestPhysical(range.start), range.bytes};
}

}  // namespace

void take_over(Program& program, const boot::SvsmLaunchPages& pages) {
  const boot::SvsmLaunch& launch = pages.launch;
  State& state = program.state;
  state.memory.own = stretch(launch.own);
  state.memory.stretches = launch.ram_count;
  for (u32 i = 0; i < launch.ram_count; ++i) {
    state.memory.ram[i] = stretch(launch.ram[i]);
  }
  state.vcpus = VcpuTable(launch.vcpu_count);
  state.guest_vmpl = static_cast<Vmpl>(launch.guest_vmpl);
  state.sev_features = pages.guest.sev_features;
  guest::install_exceptions(program.tables);
}

}  // namespace softsnp::svsm

#include "guest/svsm_guest/cases.hpp"

#include "arch/svsm/page_list.hpp"
#include "guest/runtime/termination.hpp"
#include "guest/svsm_conformance/expect.hpp"
#include "guest/svsm_guest/machine_stage.hpp"
#include "guest/vmpl0/guarded.hpp"

namespace softsnp::guest {
namespace {

using conformance::Place;

// The SVSM's memory is closed: the host sees a nested fault that nothing resolves.
void read_svsm(Environment& environment) {
  u64 value;
  svsm::guarded_copy(&value, reinterpret_cast<const void*>(environment.location.base.value()),
                     sizeof value);
  environment.console << "SVSM memory was read\n";
}

void write_vmsa(Environment& environment) {
  MachineStage stage(environment);
  const GuestPhysical vmsa = stage.at(Place::vmsa);
  conformance::put_vmsa(stage, vmsa);
  or_terminate(environment.processor, environment.svsm.create_vcpu(vmsa, stage.at(Place::area), 1));
  environment.console << "VMSA at ";
  environment.console.hex(vmsa.value()) << " created\n";
  conformance::put(stage, vmsa, u64{1});
  environment.console << "VMSA was written\n";
}

// At VMPL2 the instruction itself is refused.
void own_pvalidate(Environment& environment) {
  MachineStage stage(environment);
  const svsm::RmpAnswer answer =
      svsm::guarded_pvalidate(stage.at(Place::target).value(), PageSize::size_4k, false);
  environment.console << (answer.outcome == svsm::RmpAnswer::Outcome::faulted
                              ? "PVALIDATE faults\n"
                              : "PVALIDATE was executed\n");
}

void call_rate(Environment& environment) {
  const svsm::Registers in{0, svsm::protocol_query(svsm::Protocol::core, 1), 0, 0, 0};
  for (unsigned i = 0; i < svsm_rounds::calls; ++i) {
    or_terminate(environment.processor, environment.svsm.call(svsm::CoreCall::query_protocol, in));
  }
}

void validation_rate(Environment& environment) {
  MachineStage stage(environment);
  const GuestPhysical list = environment.svsm.area_address() + sizeof(u64);
  const GuestPhysical page = stage.at(Place::target);
  for (unsigned i = 0; i < svsm_rounds::validations; ++i) {
    for (const bool valid : {false, true}) {
      conformance::put(stage, list, svsm::PageListHeader{1, 0, 0});
      conformance::put(stage, list + 8, svsm::PageEntry::make(page, PageSize::size_4k, valid));
      or_terminate(environment.processor,
                   environment.svsm.call(svsm::CoreCall::pvalidate, {0, list.value(), 0, 0, 0}));
    }
  }
}

void nothing(Environment&) {}

constexpr SvsmCase all[] = {
    {"read-svsm", read_svsm},
    {"write-vmsa", write_vmsa},
    {"own-pvalidate", own_pvalidate},
    {"call-rate", call_rate},
    {"validation-rate", validation_rate},
    {"nothing", nothing},
};

}  // namespace

View<const SvsmCase> svsm_cases() {
  return all;
}

}  // namespace softsnp::guest

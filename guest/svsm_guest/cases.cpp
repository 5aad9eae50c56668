#include "guest/svsm_guest/cases.hpp"

#include "arch/svsm/page_list.hpp"
#include "guest/svsm_conformance/expect.hpp"
#include "guest/svsm_guest/machine_stage.hpp"
#include "guest/vmpl0/guarded.hpp"

namespace softsnp::guest {
namespace {

using conformance::Place;

// The SVSM's memory is closed: the host sees a nested fault that nothing resolves.
void read_svsm(SmallGuest& guest) {
  MachineStage stage(guest);
  (void)stage.is_validated(stage.facts().svsm);
  print("SVSM memory was read\n");
}

void write_vmsa(SmallGuest& guest) {
  MachineStage stage(guest);
  const GuestPhysical vmsa = stage.at(Place::vmsa);
  conformance::put_vmsa(stage, vmsa);
  guest.must(guest.svsm().create_vcpu(vmsa, stage.at(Place::area), 1));
  print("VMSA at ", Hex{vmsa.value()}, " created\n");
  conformance::put(stage, vmsa, u64{1});
  print("VMSA was written\n");
}

// At VMPL2 the instruction itself is refused.
void own_pvalidate(SmallGuest& guest) {
  MachineStage stage(guest);
  const svsm::RmpAnswer answer =
      svsm::guarded_pvalidate(stage.at(Place::target).value(), PageSize::size_4k, false);
  const bool faults = answer.outcome == svsm::RmpAnswer::Outcome::faulted;
  print(faults ? "PVALIDATE faults\n" : "PVALIDATE was executed\n");
}

void call_rate(SmallGuest& guest) {
  const svsm::Registers in{0, svsm::protocol_query(svsm::Protocol::core, 1), 0, 0, 0};
  for (unsigned i = 0; i < svsm_rounds::calls; ++i) {
    guest.must(guest.svsm().call(svsm::CoreCall::query_protocol, in));
  }
}

void validation_rate(SmallGuest& guest) {
  MachineStage stage(guest);
  const GuestPhysical list = guest.svsm().area_address() + sizeof(u64);
  const GuestPhysical page = stage.at(Place::target);
  for (unsigned i = 0; i < svsm_rounds::validations; ++i) {
    for (const bool valid : {false, true}) {
      conformance::put(stage, list, svsm::PageListHeader{1, 0, 0});
      conformance::put(stage, list + 8, svsm::PageEntry::make(page, PageSize::size_4k, valid));
      guest.must(guest.svsm().call(svsm::CoreCall::pvalidate, {0, list.value(), 0, 0, 0}));
    }
  }
}

void nothing(SmallGuest&) {}

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

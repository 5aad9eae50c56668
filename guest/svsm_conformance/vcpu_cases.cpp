// CREATE_VCPU and DELETE_VCPU. SVSM sheet 4.3, 4.4.
#include "arch/svsm/page_list.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {
namespace {

constexpr u64 apic_id = 1;

void create(Stage& stage, const char* name, u64 vmsa, u64 area, u64 id, ResultCode expected) {
  expect_call(stage, name, core(svsm::CoreCall::create_vcpu, vmsa, area, id), expected);
}
void remove(Stage& stage, const char* name, u64 vmsa, ResultCode expected) {
  expect_call(stage, name, core(svsm::CoreCall::delete_vcpu, vmsa), expected);
}

// A page is closed if the SVSM takes it for no page of the guest's any more.
void expect_closed(Stage& stage, const char* name, GuestPhysical page, bool closed) {
  const GuestPhysical list = stage.at(Place::list);
  put(stage, list, svsm::PageListHeader{1, 0, 0});
  put(stage, list + 8, svsm::PageEntry::make(page, PageSize::size_4k, true));
  expect_call(stage, name, core(svsm::CoreCall::pvalidate, list.value()),
              closed ? ResultCode::invalid_address : svsm::fail_no_change);
}

void refused_pages(Stage& stage) {
  const Facts& facts = stage.facts();
  const u64 vmsa = stage.at(Place::vmsa).value();
  const u64 area = stage.at(Place::area).value();
  const u64 own = facts.svsm.value();
  put_vmsa(stage, stage.at(Place::vmsa));
  create(stage, "VMSA misaligned", vmsa + 8, area, apic_id, ResultCode::invalid_parameter);
  create(stage, "vCPU's CA misaligned", vmsa, area + 8, apic_id, ResultCode::invalid_parameter);
  create(stage, "VMSA and CA alike", vmsa, vmsa, apic_id, ResultCode::invalid_address);
  create(stage, "VMSA in SVSM memory", own, area, apic_id, ResultCode::invalid_address);
  create(stage, "vCPU's CA in SVSM memory", vmsa, own, apic_id, ResultCode::invalid_address);
  create(stage, "VMSA is a CA", facts.calling_area.value(), area, apic_id,
         ResultCode::invalid_address);
  create(stage, "vCPU's CA is another's", vmsa, facts.calling_area.value(), apic_id,
         ResultCode::invalid_address);
  create(stage, "VMSA outside RAM", facts.ram_end, area, apic_id, ResultCode::invalid_address);
  create(stage, "VMSA with the C-bit", vmsa | bit(51), area, apic_id, ResultCode::invalid_address);
  create(stage, "unknown APIC id", vmsa, area, 0x1000, ResultCode::invalid_parameter);
  create(stage, "APIC id of 33 bits", vmsa, area, bit(32) | apic_id, ResultCode::invalid_parameter);
  expect_closed(stage, "refused VMSA stays the guest's", stage.at(Place::vmsa), false);
}

void refused_contents(Stage& stage) {
  const GuestPhysical vmsa = stage.at(Place::vmsa);
  const auto refused = [&](const char* name, const VmsaContent& content) {
    put_vmsa(stage, vmsa, content);
    create(stage, name, vmsa.value(), stage.at(Place::area).value(), apic_id,
           ResultCode::invalid_parameter);
    expect_closed(stage, name, vmsa, false);
  };
  refused("VMSA of VMPL0", {0, 0x1000, 1});
  refused("VMSA of VMPL1", {1, 0x1000, 1});
  refused("VMSA of VMPL3", {3, 0x1000, 1});
  refused("VMSA of VMPL 200", {200, 0x1000, 1});
  refused("VMSA without SVME", {2, 0, 1});
  refused("VMSA without SNP", {2, 0x1000, 0});
  refused("VMSA with restricted injection", {2, 0x1000, 9});
  put_vmsa(stage, vmsa);
  expect(stage, "refused VMSA can be written", get<u64>(stage, vmsa + 0x0D0), 0x1000);
}

void life(Stage& stage) {
  const GuestPhysical first = stage.at(Place::vmsa), second = stage.at(Place::second_vmsa);
  const u64 area = stage.at(Place::area).value();
  put_vmsa(stage, first);
  put_vmsa(stage, second);
  create(stage, "create", first.value(), area, apic_id, ResultCode::success);
  expect_closed(stage, "VMSA closed", first, true);
  expect_closed(stage, "vCPU's CA closed", stage.at(Place::area), true);
  create(stage, "VMSA in use", first.value(), stage.at(Place::target).value(), apic_id,
         ResultCode::invalid_address);
  expect_call(stage, "CA on a VMSA", core(svsm::CoreCall::remap_ca, first.value()),
              ResultCode::invalid_address);
  expect_call(stage, "CA on another's CA", core(svsm::CoreCall::remap_ca, area),
              ResultCode::invalid_address);
  expect_call(stage, "list in a VMSA", core(svsm::CoreCall::pvalidate, first.value()),
              ResultCode::invalid_address);
  create(stage, "create anew", second.value(), area, apic_id, ResultCode::success);
  expect_closed(stage, "old VMSA still closed", first, true);
  remove(stage, "delete the old", first.value(), ResultCode::success);
  expect_closed(stage, "old VMSA the guest's again", first, false);
  put(stage, first, u64{1});
  remove(stage, "delete the new", second.value(), ResultCode::success);
  expect_closed(stage, "new VMSA the guest's again", second, false);
  expect_closed(stage, "vCPU's CA the guest's again", stage.at(Place::area), false);
}

}  // namespace

void vcpu_cases(Stage& stage) {
  refused_pages(stage);
  const u64 vmsa = stage.at(Place::vmsa).value();
  remove(stage, "delete what is none", vmsa, ResultCode::invalid_parameter);
  remove(stage, "delete misaligned", vmsa + 8, ResultCode::invalid_parameter);
  remove(stage, "delete SVSM memory", stage.facts().svsm.value(), ResultCode::invalid_parameter);
  remove(stage, "delete gPA 0", 0, ResultCode::invalid_parameter);
  if (!stage.facts().second_vcpu) {
    return;
  }
  refused_contents(stage);
  life(stage);
  remove(stage, "delete twice", vmsa, ResultCode::invalid_parameter);
}

}  // namespace softsnp::conformance

// REMAP_CA. SVSM sheet 4.1.
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {

void calling_area_cases(Stage& stage) {
  const Facts& facts = stage.facts();
  const u64 current = facts.calling_area.value();
  const u64 area = stage.at(Place::area).value();
  const auto remap = [&](const char* name, u64 gpa, ResultCode expected) {
    expect_call(stage, name, core(svsm::CoreCall::remap_ca, gpa), expected);
  };
  remap("CA misaligned", area + 8, ResultCode::invalid_parameter);
  remap("CA in SVSM memory", facts.svsm.value(), ResultCode::invalid_address);
  remap("CA in SVSM memory's last page", (facts.svsm + (facts.svsm_bytes - page_size)).value(),
        ResultCode::invalid_address);
  remap("CA outside RAM", facts.ram_end, ResultCode::invalid_address);
  remap("CA with the C-bit", area | bit(51), ResultCode::invalid_address);
  remap("CA at the end of the address space", ~page_offset_mask, ResultCode::invalid_address);
  remap("CA where it is", current, ResultCode::success);
  // The pending byte of the new page would be a call that the guest never made.
  put(stage, stage.at(Place::area), svsm::CallingArea::call);
  remap("CA to another page", area, ResultCode::success);
  expect(stage, "CA's new pending byte", get<u8>(stage, stage.at(Place::area)), 0);
  remap("CA back", current, ResultCode::success);
}

}  // namespace softsnp::conformance

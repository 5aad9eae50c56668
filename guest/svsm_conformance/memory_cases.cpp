// DEPOSIT_MEM and WITHDRAW_MEM. SVSM sheet 4.5.
#include "arch/svsm/calling_area.hpp"
#include "arch/svsm/page_list.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {
namespace {

void deposit(Stage& stage, const char* name, u64 entry, ResultCode expected) {
  const GuestPhysical list = stage.at(Place::list);
  put(stage, list, svsm::PageListHeader{1, 0, 0});
  put(stage, list + 8, entry);
  expect_call(stage, name, core(svsm::CoreCall::deposit_mem, list.value()), expected);
}

void withdraw(Stage& stage, const char* name, u64 at, ResultCode expected) {
  expect_call(stage, name, core(svsm::CoreCall::withdraw_mem, at), expected);
}

u8 available(Stage& stage) {
  return get<u8>(stage,
                 stage.facts().calling_area + __builtin_offsetof(svsm::CallingArea, mem_available));
}

}  // namespace

void memory_cases(Stage& stage) {
  const Facts& facts = stage.facts();
  const GuestPhysical target = stage.at(Place::target);
  const GuestPhysical answer = stage.at(Place::table);
  deposit(stage, "deposit: SVSM memory", facts.svsm.value(), ResultCode::invalid_address);
  deposit(stage, "deposit: the CA", facts.calling_area.value(), ResultCode::invalid_address);
  deposit(stage, "deposit: no RAM", facts.ram_end, ResultCode::invalid_address);
  deposit(stage, "deposit: size 2", target.value() | 2, ResultCode::invalid_parameter);
  deposit(stage, "deposit: reserved bit", target.value() | 4, ResultCode::invalid_parameter);
  deposit(stage, "deposit: 2 MiB misaligned", (facts.large_block + page_size).value() | 1,
          ResultCode::invalid_parameter);
  deposit(stage, "deposit: 2 MiB over small pages", facts.small_block.value() | 1,
          svsm::fail_size_mismatch);
  withdraw(stage, "withdraw: misaligned", answer.value() + 4, ResultCode::invalid_parameter);
  withdraw(stage, "withdraw: no room", answer.value() + 0xFF8, ResultCode::invalid_parameter);
  withdraw(stage, "withdraw: SVSM memory", facts.svsm.value(), ResultCode::invalid_address);
  withdraw(stage, "withdraw: nothing there", answer.value(), ResultCode::success);
  expect(stage, "withdraw: nothing there", get<u16>(stage, answer), 0);
  put(stage, target, u64{0x5EC2E7});
  deposit(stage, "deposit", target.value(), ResultCode::success);
  expect(stage, "deposit: memory is available", available(stage), 1);
  deposit(stage, "deposit twice", target.value(), ResultCode::invalid_address);
  withdraw(stage, "withdraw", answer.value(), ResultCode::success);
  expect(stage, "withdraw: one page", get<u16>(stage, answer), 1);
  expect(stage, "withdraw: that page", get<u64>(stage, answer + 8), target.value());
  expect(stage, "withdraw: zeroed", get<u64>(stage, target), 0);
  expect(stage, "withdraw: no more memory is available", available(stage), 0);
}

}  // namespace softsnp::conformance

// Which pages a guest ever validated, and that a second validation is noticed whether the RMP still
// knew of the first or the host has replaced the page.
#include "observe/validation.hpp"

#include <gtest/gtest.h>

#include "arch/psp/command.hpp"

namespace softsnp::observe {
namespace {

constexpr GuestPhysical page(0x40003000), block(0x40000000);

memory::RmpChange launched(GuestPhysical gpa, PageSize size) {
  memory::RmpChange change;
  change.after.set_assigned(true);
  change.after.set_validated(true);
  change.after.set_gpa(gpa);
  change.after.set_size(size);
  change.cause.agent = memory::RmpAgent::firmware;
  change.cause.firmware_command = psp::number(psp::Command::snp_launch_update);
  return change;
}

cpu::RmpInstructionEvent pvalidate(GuestPhysical gpa, PageSize size, bool validate = true) {
  cpu::RmpInstructionEvent event;
  event.gpa = gpa;
  event.size = size;
  event.operand = validate ? 1 : 0;
  return event;
}

TEST(Validation, CountsPagesOnceAndInstructionsBySize) {
  Validation all;
  all.rmp_changed(launched(GuestPhysical(0x200000), PageSize::size_2m));
  all.rmp_changed(launched(GuestPhysical(0x1000), PageSize::size_4k));
  all.rmp_instruction(pvalidate(block, PageSize::size_2m));
  all.rmp_instruction(pvalidate(page, PageSize::size_4k, false));
  all.rmp_instruction(pvalidate(page, PageSize::size_4k));
  EXPECT_EQ(all.launched_pages(), 513u);
  EXPECT_EQ(all.accepted_pages(), 512u);
  EXPECT_EQ(all.made_valid().large, 1u);
  EXPECT_EQ(all.made_valid().small, 1u);
  EXPECT_EQ(all.rescinded().small, 1u);
  EXPECT_EQ(all.validated_twice(), 0u);
}

TEST(Validation, ASecondValidationIsNoticedWhateverTheRmpSays) {
  for (const bool carry : {false, true}) {
    Validation all;
    all.rmp_instruction(pvalidate(block, PageSize::size_2m));
    cpu::RmpInstructionEvent again = pvalidate(page, PageSize::size_4k);
    again.carry = carry;
    all.rmp_instruction(again);
    EXPECT_EQ(all.validated_twice(), 1u) << carry;
    EXPECT_EQ(all.accepted_pages(), 512u);
  }
}

TEST(Validation, ALaunchedPageIsValidAlready) {
  Validation all;
  all.rmp_changed(launched(page, PageSize::size_4k));
  all.rmp_instruction(pvalidate(block, PageSize::size_2m));
  EXPECT_EQ(all.validated_twice(), 1u);
  EXPECT_EQ(all.accepted_pages(), 511u);
}

TEST(Validation, WhatFailedOrIsNoPvalidateDoesNotCount) {
  Validation all;
  auto failed = pvalidate(page, PageSize::size_4k);
  failed.result = snp::RmpResult::fail_sizemismatch;
  all.rmp_instruction(failed);
  auto denied = pvalidate(page, PageSize::size_4k);
  denied.denied = memory::Rule::page_size;
  all.rmp_instruction(denied);
  auto adjust = pvalidate(page, PageSize::size_4k);
  adjust.instruction = cpu::RmpInstruction::rmpadjust;
  all.rmp_instruction(adjust);
  auto moved = launched(page, PageSize::size_4k);
  moved.cause.firmware_command = psp::number(psp::Command::snp_page_move);
  all.rmp_changed(moved);
  auto vmsa = launched(page, PageSize::size_4k);
  vmsa.after.set_vmsa(true);
  all.rmp_changed(vmsa);
  EXPECT_EQ(all.made_valid().small, 0u);
  EXPECT_EQ(all.launched_pages() + all.accepted_pages() + all.validated_twice(), 0u);
}

}  // namespace
}  // namespace softsnp::observe

// A fault explains itself in one paragraph: who, what, which rule, the RMP entry and its history.
#include "observe/explainer.hpp"

#include "tests/observe/events.hpp"

namespace softsnp::observe {
namespace {

using testing::Test;

class ExplainerTest : public Test {
 protected:
  // The newest paragraph holds all the words.
  void expect_words(std::initializer_list<const char*> words) {
    ASSERT_FALSE(explainer_.paragraphs().empty());
    const std::string& text = explainer_.paragraphs().back();
    EXPECT_EQ(text.find('\n'), std::string::npos);
    for (const char* word : words) {
      EXPECT_NE(text.find(word), std::string::npos) << word << " is not in: " << text;
    }
  }
  static constexpr kvm::NpfEvent handled(kvm::NpfResolution resolution) {
    return {.vcpu = 0, .gpa = GuestPhysical(0x7000), .exitinfo1 = 0, .resolution = resolution};
  }
  Symbols symbols_;
  Explainer explainer_{symbols_};
};

TEST_F(ExplainerTest, NotValidatedPageNamesTheRule) {
  cpu::Denial denial;
  denial.rule = memory::Rule::validated;
  denial.linear = 0xAAAA000;
  denial.request.asker.kind = memory::AskerKind::snp_guest;
  denial.request.asker.asid = Asid(3);
  denial.request.gpa = GuestPhysical(0xBBBB000);
  denial.request.spa = SystemPhysical(0xCCCC000);
  denial.request.kind = memory::AccessKind::write;
  explainer_.set_evidence({nullptr, nullptr, [&]() -> const cpu::Denial& { return denial; }});
  symbols_.add_map(bytes_of("0000000000001000 T memset\n"));
  explainer_.vc_raised(0x404, 0x1010);
  expect_words({"#VC 404h", "memset+0x10", "the SNP guest (ASID 3, VMPL0) write", "gVA 0xaaaa000",
                "gPA 0xbbbb000", "sPA 0xcccc000", name(memory::Rule::validated),
                "hardware sheet 5.1, 5.2"});
}

TEST_F(ExplainerTest, OnlyNotValidatedIsToldOfVc) {
  explainer_.vc_raised(0x72, 0);
  EXPECT_TRUE(explainer_.paragraphs().empty());
}

TEST_F(ExplainerTest, RmpFaultIsToldOnlyIfNobodyResolvedIt) {
  explainer_.npf(u64{1} << 31, GuestPhysical(0x7000), 0x10);
  explainer_.npf(handled(kvm::NpfResolution::smashed));
  EXPECT_TRUE(explainer_.paragraphs().empty());
  explainer_.npf(u64{1} << 31, GuestPhysical(0x7000), 0x10);
  explainer_.npf(handled(kvm::NpfResolution::unresolved));
  expect_words({"RMP bit", "gPA 0x7000", kvm::name(kvm::NpfResolution::unresolved)});
}

TEST_F(ExplainerTest, RefusedVmrunHasBothValues) {
  explainer_.vmrun_refused({"ASID is zero", 0x11, 0x22});
  expect_words({"VMRUN was refused", "ASID is zero", "found 0x11", "wanted 0x22"});
}

TEST_F(ExplainerTest, TripleFaultTellsTheChain) {
  cpu::FaultChain chain;
  chain.count = 2;
  chain.at[0] = {.vector = 14, .has_error = true, .error = 2, .rip = 0x55, .cr2 = 0xDEAD000};
  chain.at[1] = {.vector = 8, .has_error = true};
  explainer_.triple_fault(chain);
  expect_words({"vector 14 error 0x2 at RIP 0x55 CR2 0xdead000", "vector 8"});
}

TEST_F(ExplainerTest, FirmwareErrorNamesCheckAndPage) {
  psp::CommandEvent event;
  event.id = 0x90;
  event.name = "SNP_GCTX_CREATE";
  explainer_.command_done(event);
  EXPECT_TRUE(explainer_.paragraphs().empty()) << "success needs no explanation";
  event.status = psp::Status::invalid_page_state;
  event.detail = "the page is not in state Firmware";
  event.page = psp::PageView{SystemPhysical(0x9000), PageSize::size_4k, {}, "Hypervisor"};
  explainer_.command_done(event);
  expect_words({"SNP_GCTX_CREATE (0x90)", name(psp::Status::invalid_page_state),
                "the page is not in state Firmware", "sPA 0x9000", "Hypervisor"});
}

TEST_F(ExplainerTest, DoubleValidationIsNoticed) {
  cpu::RmpInstructionEvent event;
  event.address = GuestVirtual(0x3000);
  explainer_.rmp_instruction(event);
  EXPECT_TRUE(explainer_.paragraphs().empty());
  event.carry = true;
  explainer_.rmp_instruction(event);
  expect_words({"PVALIDATE of gVA 0x3000", "CF=1"});
}

TEST_F(ExplainerTest, KeepsTheNewestOnly) {
  for (u64 i = 0; i < 3 * Explainer::kept; ++i) {
    explainer_.vmrun_refused({"again", i, 0});
  }
  EXPECT_EQ(explainer_.paragraphs().size(), Explainer::kept);
  expect_words({"found 0x17"});
}

TEST_F(ExplainerTest, WhatRepeatsItselfIsSaidOnce) {
  for (int i = 0; i < 3; ++i) {
    explainer_.vmrun_refused({"again", 1, 0});
  }
  EXPECT_EQ(explainer_.paragraphs().size(), 1u);
  expect_words({"found 0x1,", "3 times in a row"});
  explainer_.vmrun_refused({"again", 2, 0});
  explainer_.vmrun_refused({"again", 1, 0});
  EXPECT_EQ(explainer_.paragraphs().size(), 3u);
}

}  // namespace
}  // namespace softsnp::observe

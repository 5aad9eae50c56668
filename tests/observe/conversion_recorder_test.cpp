// Conversions from hand-made events: what belongs together, in which order, and what does not.
#include "observe/conversion_recorder.hpp"

#include <gtest/gtest.h>

#include "arch/ghcb/events.hpp"
#include "arch/snp/features.hpp"
#include "base/bits.hpp"
#include "observe/conversion_text.hpp"

namespace softsnp::observe {
namespace {

constexpr u64 direct_map = 0xFFFF888000000000, encrypted = bit(snp::c_bit);
constexpr SystemPhysical table(0x9000);

class ConversionRecorderTest : public ::testing::Test, public Viewpoint {
 protected:
  ConversionRecorderTest() {
    recorder_.set_window({[this](GuestVirtual at) -> std::optional<GuestLeaf> {
                            const auto found = entries_.find(at.value());
                            if (found == entries_.end()) {
                              return std::nullopt;
                            }
                            return GuestLeaf{found->second, 0, {table, table, table, table}};
                          },
                          [this](SystemPhysical page) { watched_.insert(page); }});
  }
  Moment moment() const override { return {now_, 0, Vmpl::vmpl0, 0x1000}; }

  void pvalidate(u64 gpa, bool validate, bool carry = false) {
    cpu::RmpInstructionEvent e;
    e.address = GuestVirtual(direct_map + gpa);
    e.gpa = GuestPhysical(gpa);
    e.operand = validate ? 1 : 0;
    e.carry = carry;
    now_ += 10;
    recorder_.rmp_instruction(e);
  }
  void flush(u64 linear) {
    now_ += 10;
    recorder_.tlb_flushed(cpu::TlbFlush::page, linear, 0x2000);
  }
  void page_state(u64 gpa, u64 bytes, bool to_private) {
    now_ += 10;
    recorder_.vmexit(svm::ExitCode::vmgexit, 0, 0, 0x3000);
    recorder_.page_state({GuestPhysical(gpa), bytes, to_private});
    kvm::VmgexitEvent e;
    e.code = static_cast<u64>(ghcb::Event::page_state_change);
    recorder_.vmgexit(e);
  }
  void set_entry(u64 gpa, bool is_encrypted) {
    now_ += 10;
    const u64 linear = direct_map + gpa;
    entries_[linear] = gpa | 1 | (is_encrypted ? encrypted : 0);
    recorder_.stored({table + (linear >> page_shift & 511) * 8, 8, 0x4000, 0});
  }
  std::vector<StepKind> kinds(usize index) const {
    std::vector<StepKind> found;
    for (const ConversionStep& step : recorder_.conversions().at(index).steps) {
      found.push_back(step.kind);
    }
    return found;
  }

  u64 now_ = 1'000'000;
  std::map<u64, u64> entries_;
  std::set<SystemPhysical> watched_;
  ConversionRecorder recorder_{*this};
};

using K = StepKind;

TEST_F(ConversionRecorderTest, BothDirectionsAsLinuxDoesThem) {
  for (u64 gpa = 0x5000; gpa < 0x7000; gpa += page_size) {
    entries_[direct_map + gpa] = gpa | 1 | encrypted;
  }
  flush(direct_map + 0x5000);
  pvalidate(0x5000, false);
  pvalidate(0x6000, false);
  EXPECT_EQ(watched_.count(table), 1u);
  page_state(0x5000, 0x2000, false);
  set_entry(0x5000, false);
  set_entry(0x6000, false);
  flush(direct_map + 0x5000);
  flush(direct_map + 0x6000);
  now_ += 1'000'000;
  set_entry(0x5000, true);
  set_entry(0x6000, true);
  flush(direct_map + 0x5000);
  page_state(0x5000, 0x2000, true);
  pvalidate(0x5000, true);
  pvalidate(0x6000, true);
  ASSERT_EQ(recorder_.conversions().size(), 2u);
  EXPECT_EQ(kinds(0), (std::vector{K::tlb_flush, K::pvalidate, K::vmgexit, K::attribute, K::resumed,
                                   K::table_entry, K::tlb_flush}));
  EXPECT_EQ(kinds(1), (std::vector{K::table_entry, K::tlb_flush, K::vmgexit, K::attribute,
                                   K::resumed, K::pvalidate}));
  for (const Conversion& c : recorder_.conversions()) {
    EXPECT_EQ(c.first, GuestPhysical(0x5000));
    EXPECT_EQ(c.pages(), 2u);
  }
  const ConversionStep& last = recorder_.conversions()[1].steps.back();
  EXPECT_EQ(last.count, 2u);
  EXPECT_EQ(last.end, 0x7000u);
}

TEST_F(ConversionRecorderTest, WhatTheRmpAndTheHypervisorDoComesInBetween) {
  pvalidate(0x5000, false);
  recorder_.vmexit(svm::ExitCode::vmgexit, 0, 0, 0x3000);
  memory::RmpChange change;
  change.before.low = 1 | 0x5000 | u64{3} << 51;
  change.cause.agent = memory::RmpAgent::rmpupdate;
  recorder_.rmp_changed(change);
  recorder_.page_state({GuestPhysical(0x5000), page_size, false});
  EXPECT_EQ(kinds(0), (std::vector{K::pvalidate, K::vmgexit, K::attribute, K::rmp}));
  kvm::NpfEvent elsewhere;
  elsewhere.gpa = GuestPhysical(0x8000);
  static_cast<kvm::Observer&>(recorder_).npf(elsewhere);
  EXPECT_EQ(kinds(0).size(), 4u) << "another page's fault is no step of this";
}

TEST_F(ConversionRecorderTest, TheLaunchAndAcceptedMemoryAreNone) {
  recorder_.page_state({GuestPhysical(0), 0x100000, true});
  pvalidate(0x5000, true);
  EXPECT_TRUE(recorder_.conversions().empty());
  EXPECT_EQ(conversion_list(recorder_.conversions()), "the guest converted no page\n");
}

TEST_F(ConversionRecorderTest, PagesElsewhereAreAnotherCall) {
  pvalidate(0x5000, false);
  pvalidate(0x9000, false);
  EXPECT_EQ(recorder_.conversions().size(), 2u);
}

TEST_F(ConversionRecorderTest, BatchesOfOneCallAreOneConversion) {
  for (const u64 gpa : {0x5000, 0x7000}) {
    page_state(gpa, 0x2000, true);
    pvalidate(gpa, true);
    pvalidate(gpa + page_size, true);
  }
  ASSERT_EQ(recorder_.conversions().size(), 1u);
  EXPECT_EQ(recorder_.conversions()[0].pages(), 4u);
}

TEST_F(ConversionRecorderTest, TextNamesWhatThereIs) {
  pvalidate(0x5000, false, true);
  Symbols symbols;
  const auto& all = recorder_.conversions();
  EXPECT_NE(conversion_text(all, false, 1, symbols).find("CF=1, nothing changed"),
            std::string::npos);
  EXPECT_EQ(conversion_text(all, false, 2, symbols),
            "shared:2 did not happen: the guest made 1 such conversion\n");
  EXPECT_EQ(conversion_text(all, true, 1, symbols),
            "private:1 did not happen: the guest made 0 such conversions\n");
}

}  // namespace
}  // namespace softsnp::observe

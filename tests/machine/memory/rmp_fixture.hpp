// A machine's memory with an RMP that covers its first 8 MiB (four 2M regions) and the shorthands
// that the RMP tests share.
#pragma once

#include <gtest/gtest.h>

#include "machine/memory/rmp/page_state.hpp"
#include "machine/memory/rmp/rmp.hpp"

namespace softsnp::memory {

inline constexpr u64 covered_bytes = 4 * large_page_size;
inline constexpr SystemPhysical rmp_base{covered_bytes};
inline constexpr SystemPhysical rmp_end{covered_bytes + snp::rmp_bookkeeping_bytes +
                                        covered_bytes / page_size * 16 - 1};
inline constexpr Asid guest_asid{5};
inline constexpr GuestPhysical guest_gpa{0x12345000};
inline constexpr GuestPhysical guest_gpa_2m{0x40000000};
inline constexpr SystemPhysical page_a{0x3000};
inline constexpr SystemPhysical region_a{large_page_size};

struct CountingObserver : Observer {
  void rmp_changed(const RmpChange& change) override {
    ++changes;
    last = change;
  }
  void form_converted(SystemPhysical) override { ++conversions; }
  unsigned changes = 0;
  unsigned conversions = 0;
  RmpChange last{};
};

class RmpTest : public ::testing::Test {
 protected:
  RmpTest() {
    rmp.set_range(rmp_base, rmp_end);
    rmp.set_enabled(true);
  }

  static snp::RmpUpdate assign(Asid asid, GuestPhysical gpa, PageSize size = PageSize::size_4k,
                               bool immutable = false) {
    return {.gpa = gpa.value(),
            .assigned = 1,
            .page_size = static_cast<u8>(size),
            .immutable = static_cast<u8>(immutable ? 1 : 0),
            .reserved = 0,
            .asid = number(asid)};
  }
  static snp::RmpUpdate unassign(PageSize size = PageSize::size_4k) {
    return {.gpa = 0, .assigned = 0, .page_size = static_cast<u8>(size)};
  }
  snp::RmpResult update(SystemPhysical at, const snp::RmpUpdate& value) {
    return rmp.rmpupdate(at, value, Asid::host);
  }
  static GuestPage operand(SystemPhysical spa, GuestPhysical gpa,
                           PageSize mapping = PageSize::size_4k, Vmpl vmpl = Vmpl::vmpl0) {
    return {Asker{AskerKind::snp_guest, guest_asid, vmpl}, spa, gpa, mapping};
  }
  // A validated 4K page of the guest at page_a / guest_gpa.
  void make_valid_page() {
    ASSERT_EQ(update(page_a, assign(guest_asid, guest_gpa)), snp::RmpResult::success);
    const GuestRmpOutcome out =
        rmp.pvalidate(operand(page_a, guest_gpa), PageSize::size_4k, true, true, 0x1000);
    ASSERT_EQ(out.denied, Rule::none);
    ASSERT_EQ(out.result, snp::RmpResult::success);
    ASSERT_FALSE(out.carry);
  }
  // A validated 2M page of the guest at region_a / guest_gpa_2m.
  void make_valid_region() {
    ASSERT_EQ(update(region_a, assign(guest_asid, guest_gpa_2m, PageSize::size_2m)),
              snp::RmpResult::success);
    const GuestRmpOutcome out = rmp.pvalidate(operand(region_a, guest_gpa_2m, PageSize::size_2m),
                                              PageSize::size_2m, true, true, 0x1000);
    ASSERT_EQ(out.denied, Rule::none);
    ASSERT_EQ(out.result, snp::RmpResult::success);
  }
  void firmware_edit(SystemPhysical at, auto edit) {
    snp::RmpEntry entry = rmp.entry(at);
    edit(entry);
    rmp.write_page(at, entry.size(), entry, firmware());
  }
  static RmpCause firmware() { return {RmpAgent::firmware, Asker{}, 0, 0xA0}; }

  Dram dram{8 * large_page_size};
  CountingObserver observer;
  Rmp rmp{dram, &observer};
};

}  // namespace softsnp::memory

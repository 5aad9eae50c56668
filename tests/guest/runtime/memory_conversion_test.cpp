#include "guest/runtime/memory_conversion.hpp"

#include <gtest/gtest.h>

#include "arch/x86/msr.hpp"
#include "base/bytes.hpp"
#include "guest/runtime/ghcb_setup.hpp"
#include "guest/runtime/lazy_acceptance.hpp"
#include "guest/runtime/negotiation.hpp"
#include "guest/runtime/termination.hpp"
#include "tests/guest/runtime/simulated_host.hpp"

namespace softsnp::guest {
namespace {

// Remembers the C-bit of each page.
class MapOfBits final : public PageMap {
 public:
  Checked<void> set_encrypted(const PageRange& range, bool encrypted) override {
    if (refuse) {
      return fail(Cause::no_page_table);
    }
    for (u64 i = 0; i < range.pages; ++i) {
      shared[range.first.value() + i * page_size] = !encrypted;
    }
    return {};
  }
  std::map<u64, bool> shared;
  bool refuse = false;
};

struct World {
  SimulatedHost host;
  SimulatedGuest guest{host};
  LatePageState late{guest.ghcb};
  EarlyPageState early{host};
  DirectValidation validation{host, {}};
  MapOfBits map;
  MemoryConversion conversion{late, validation, map};

  // All pages of the range alike.
  bool is_private(const PageRange& r) {
    return all(
        r, [](auto& p) { return p.assigned && p.validated; }, false);
  }
  bool is_shared(const PageRange& r) {
    return all(
        r, [](auto& p) { return !p.assigned && !p.validated; }, true);
  }

 private:
  template <class F>
  bool all(const PageRange& r, F&& good, bool shared) {
    for (u64 i = 0; i < r.pages; ++i) {
      const GuestPhysical at = r.first + i * page_size;
      if (!good(host.rmp(at)) || map.shared[at.value()] != shared) {
        return false;
      }
    }
    return true;
  }
};

PageRange small_range(World& w, u64 pages = 10) {
  return {w.host.at(SimulatedGuest::free_offset), pages};
}

TEST(MemoryConversion, ThereAndBack) {
  World w;
  const PageRange range = small_range(w, 600);  // three batches
  ASSERT_TRUE(w.conversion.make_shared(range).ok());
  EXPECT_TRUE(w.is_shared(range));
  EXPECT_EQ(w.host.log.size(), 3u);
  ASSERT_TRUE(w.conversion.make_private(range).ok());
  EXPECT_TRUE(w.is_private(range));
}

TEST(MemoryConversion, LargePagesWhereBothEndsAllowIt) {
  World w;
  const GuestPhysical large = w.host.at(SimulatedGuest::large_offset);
  w.host.set_large(large, true);
  const PageRange range{large - 3 * page_size, 3 + 512 + 5};
  ASSERT_TRUE(w.conversion.make_shared(range).ok());
  EXPECT_TRUE(w.is_shared(range));
  ASSERT_TRUE(w.conversion.make_private(range).ok());
  EXPECT_TRUE(w.is_private(range));
  EXPECT_TRUE(w.host.rmp(large).large);
  PageRange rest = range;
  EXPECT_EQ(PageBatch(rest, PageSizes::large_too).all().size(), 3u + 1 + 5);
}

// PVALIDATE of 2 MiB on 4 KiB entries of the RMP: FAIL_SIZEMISMATCH, then page by page.
TEST(MemoryConversion, FallsBackToSmallPages) {
  World w;
  const PageRange range{w.host.at(SimulatedGuest::large_offset), 512};
  ASSERT_FALSE(w.host.rmp(range.first).large);
  ASSERT_TRUE(w.conversion.make_shared(range).ok());
  EXPECT_TRUE(w.is_shared(range));
}

TEST(MemoryConversion, EarlyStagePageByPage) {
  World w;
  MemoryConversion early(w.early, w.validation, w.map, PageSizes::small_only);
  const PageRange range = small_range(w);
  ASSERT_TRUE(early.make_shared(range).ok());
  EXPECT_TRUE(w.is_shared(range));
  ASSERT_TRUE(early.make_private(range).ok());
  EXPECT_TRUE(w.is_private(range));
  EXPECT_TRUE(w.host.log.empty());
}

TEST(MemoryConversion, HostMayStopEarly) {
  World w;
  w.host.entries_per_exit = 7;
  const PageRange range = small_range(w, 100);
  ASSERT_TRUE(w.conversion.make_shared(range).ok());
  EXPECT_TRUE(w.is_shared(range));
  EXPECT_EQ(w.host.log.size(), 15u);
}

TEST(MemoryConversion, HostMayNotStopForEver) {
  World w;
  w.host.entries_per_exit = 0;
  const auto result = w.conversion.make_shared(small_range(w));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::page_state_lie);
  EXPECT_TRUE(w.is_private(small_range(w)));
}

// Refusal at any place, in any batch, small or large: all is as before.
TEST(MemoryConversion, RollsBackWhatTheHostRefuses) {
  for (const u64 refused : {0u, 1u, 252u, 253u, 511u, 599u}) {
    for (const bool large : {false, true}) {
      World w;
      const PageRange range{large ? w.host.at(SimulatedGuest::large_offset) : small_range(w).first,
                            600};
      w.host.refused_page = (range.first + refused * page_size).value();
      const auto shared = w.conversion.make_shared(range);
      ASSERT_FALSE(shared.ok());
      EXPECT_EQ(shared.error(), Cause::page_state_change_failed);
      EXPECT_TRUE(w.is_private(range)) << refused;
      w.host.refused_page = 0;
      ASSERT_TRUE(w.conversion.make_shared(range).ok());
      w.host.refused_page = (range.first + refused * page_size).value();
      const auto back = w.conversion.make_private(range);
      ASSERT_FALSE(back.ok());
      EXPECT_EQ(back.error(), Cause::page_state_change_failed);
      w.host.refused_page = 0;
      EXPECT_TRUE(w.is_shared(range)) << refused;
    }
  }
}

// A page that is not validated although it should be: somebody put another one there.
TEST(MemoryConversion, NoticesAChangedValidation) {
  World w;
  const PageRange range = small_range(w);
  w.host.rmp(range.first + 4 * page_size).validated = false;
  auto result = w.conversion.make_shared(range);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::double_validation);
  for (u64 i : {0u, 3u, 5u}) {
    EXPECT_TRUE(w.host.rmp(range.first + i * page_size).validated);
  }
}

TEST(MemoryConversion, WithoutPageTablesNothingStaysShared) {
  World w;
  const PageRange range = small_range(w);
  w.map.refuse = true;
  const auto result = w.conversion.make_shared(range);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::no_page_table);
  EXPECT_TRUE(w.is_private(range));
}

// What cannot be undone has a name of its own.
TEST(MemoryConversion, FailedRollback) {
  World w;
  const PageRange range = small_range(w);
  w.host.refused_page = (range.first + 5 * page_size).value();
  w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
    // After the refusal the host refuses everything.
    if (u64{answer.sw_exitinfo2} != 0) {
      w.host.refused_page = range.first.value();
    }
  };
  const auto result = w.conversion.make_shared(range);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::rollback_failed);
}

TEST(MemoryConversion, LyingCounters) {
  struct Lie {
    u16 cur, end;
    u32 reserved;
  };
  // Backwards is not possible from 0: beyond the end, another end, reserved bits.
  for (const Lie lie : {Lie{11, 9, 0}, Lie{10, 10, 0}, Lie{10, 8, 0}, Lie{10, 9, 1}}) {
    World w;
    w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
      store_le(answer.raw + ghcb::shared_buffer_offset,
               ghcb::PageStateHeader{lie.cur, lie.end, lie.reserved});
      w.host.lie_by_page = nullptr;
    };
    const auto result = w.conversion.make_shared(small_range(w));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error(), Cause::page_state_lie);
  }
}

// The counter goes back to what was done already.
TEST(MemoryConversion, CountersThatGoBack) {
  World w;
  w.host.entries_per_exit = 4;
  unsigned exits = 0;
  w.host.lie_by_page = [&](const ghcb::Ghcb&, ghcb::Ghcb& answer) {
    if (++exits == 2) {
      store_le(answer.raw + ghcb::shared_buffer_offset, ghcb::PageStateHeader{3, 9, 0});
    }
  };
  const auto result = w.conversion.make_shared(small_range(w));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error(), Cause::page_state_lie);
}

TEST(GhcbSetup, SharesRegistersAndClears) {
  World w;
  GhcbSetup setup{w.host, w.validation, w.map};
  auto& page = w.host.object<ghcb::Ghcb>(0x3000);
  page.raw[5] = 5;
  ASSERT_TRUE(setup.run(page, w.host.at(0x3000)).ok());
  EXPECT_TRUE(w.is_shared({w.host.at(0x3000), 1}));
  EXPECT_EQ(w.host.ghcb_registered, w.host.at(0x3000).value());
  EXPECT_EQ(page.raw[5], 0);
}

TEST(LazyAcceptance, OnceAndOnlyWhatIsListed) {
  World w;
  const GuestPhysical first = w.host.at(SimulatedGuest::large_offset);
  for (u64 i = 0; i < 1024; ++i) {
    w.host.rmp(first + i * page_size).validated = false;
  }
  u64 bits[] = {1};
  LazyAcceptance lazy(w.late, w.validation, first, bits);
  EXPECT_TRUE(lazy.accept(first + 0x1234).ok());
  EXPECT_TRUE(w.host.rmp(first).validated);
  for (const GuestPhysical again : {first, first + large_page_size, first - 1}) {
    const auto result = lazy.accept(again);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error(), Cause::page_not_validated);
  }
}

TEST(Negotiation, VersionsAndFeatures) {
  SimulatedHost host;
  MsrProtocol msr(host);
  EXPECT_EQ(negotiate(msr, snp_needs)->version, 2);
  EXPECT_EQ(negotiate(msr, snp_needs)->features, 0x33u);
  host.highest_version = 9;
  EXPECT_EQ(negotiate(msr, snp_needs)->version, 2);
  host.lowest_version = 3;
  EXPECT_EQ(negotiate(msr, snp_needs).error(), Cause::version_not_supported);
  host.lowest_version = host.highest_version = 1;
  EXPECT_EQ(negotiate(msr, snp_needs).error(), Cause::version_not_supported);
  EXPECT_EQ(negotiate(msr, {})->version, 1);
  host.highest_version = 2;
  host.features = 0;
  EXPECT_EQ(negotiate(msr, snp_needs).error(), Cause::features_missing);
}

// The MSR holds afterwards what it held before, and interrupts are as they were.
TEST(MsrProtocol, LeavesTheMsrAlone) {
  SimulatedHost host;
  host.write_msr(x86::msr::ghcb, 0x5000);
  MsrProtocol protocol(host);
  EXPECT_TRUE(protocol.features().ok());
  EXPECT_EQ(host.read_msr(x86::msr::ghcb), 0x5000u);
  EXPECT_TRUE(host.interrupts);
}

TEST(Termination, EndsWithTheCausesReason) {
  SimulatedHost host;
  try {
    terminate(host, Cause::pvalidate_failed);
    FAIL();
  } catch (const Terminated& end) {
    EXPECT_EQ(end.reason, ghcb::termination::pvalidate);
  }
  // Every cause has a name of its own.
  std::map<std::string, int> names;
  for (unsigned i = 0; i <= static_cast<unsigned>(Cause::svsm_call_failed); ++i) {
    ++names[name(static_cast<Cause>(i))];
  }
  for (const auto& [text, count] : names) {
    EXPECT_EQ(count, 1) << text;
    EXPECT_EQ(text.find("unknown"), std::string::npos);
  }
}

}  // namespace
}  // namespace softsnp::guest

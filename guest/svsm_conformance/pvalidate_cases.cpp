// PVALIDATE. SVSM sheet 4.2.
#include "arch/svsm/page_list.hpp"
#include "guest/svsm_conformance/cases.hpp"
#include "guest/svsm_conformance/expect.hpp"

namespace softsnp::conformance {
namespace {

using svsm::PageEntry;
using svsm::PageListHeader;

constexpr auto small = PageSize::size_4k, large = PageSize::size_2m;

svsm::Registers pvalidate(u64 list) {
  return core(svsm::CoreCall::pvalidate, list);
}

// One entry, in the list's page; afterwards its index is 1 if it was done.
void one(Stage& stage, const char* name, PageEntry entry, ResultCode expected) {
  const GuestPhysical list = stage.at(Place::list);
  put(stage, list, PageListHeader{1, 0, 0});
  put(stage, list + sizeof(PageListHeader), entry);
  expect_call(stage, name, pvalidate(list.value()), expected);
  expect(stage, name, get<PageListHeader>(stage, list).next,
         expected == ResultCode::success ? 1 : 0);
}

void refused_addresses(Stage& stage) {
  const Facts& facts = stage.facts();
  const auto refused = [&](const char* name, GuestPhysical page, PageSize size) {
    one(stage, name, PageEntry::make(page, size, false), ResultCode::invalid_address);
    one(stage, name, PageEntry::make(page, size, true), ResultCode::invalid_address);
  };
  refused("entry: SVSM memory", facts.svsm, small);
  refused("entry: SVSM memory's last page", facts.svsm + (facts.svsm_bytes - page_size), small);
  refused("entry: a block of SVSM memory", facts.svsm, large);
  refused("entry: the Calling Area", facts.calling_area, small);
  refused("entry: the block around the Calling Area", facts.calling_area.large_page(), large);
  refused("entry: no RAM", GuestPhysical(facts.ram_end), small);
  refused("entry: the VGA window", GuestPhysical(0xA0000), small);
  refused("entry: C-bit", stage.at(Place::target) + bit(51), small);
  refused("entry: the address space's end", GuestPhysical(~page_offset_mask), small);
  one(stage, "entry: SVSM memory, and reserved bits",
      PageEntry{PageEntry::make(facts.svsm, small, false).value | bit(4)},
      ResultCode::invalid_address);
}

void refused_formats(Stage& stage) {
  const GuestPhysical target = stage.at(Place::target);
  const auto refused = [&](const char* name, u64 low_bits) {
    one(stage, name, PageEntry{target.value() | low_bits}, ResultCode::invalid_parameter);
  };
  refused("entry: size 2", 2);
  refused("entry: size 3", 3);
  for (unsigned n = 4; n < 12; ++n) {
    refused("entry: reserved bit", bit(n));
  }
  one(stage, "entry: 2 MiB misaligned",
      PageEntry::make(stage.facts().large_block + page_size, large, false),
      ResultCode::invalid_parameter);
  expect(stage, "refused entries change nothing", stage.is_validated(target) ? 1 : 0, 1);
}

void state_changes(Stage& stage) {
  const GuestPhysical target = stage.at(Place::target);
  put(stage, target, u64{0x5EC2E7});
  one(stage, "validate twice", PageEntry::make(target, small, true), svsm::fail_no_change);
  expect(stage, "validate twice: content stays", get<u64>(stage, target), 0x5EC2E7);
  one(stage, "rescind", PageEntry::make(target, small, false), ResultCode::success);
  expect(stage, "rescind: not validated", stage.is_validated(target) ? 1 : 0, 0);
  one(stage, "rescind twice", PageEntry::make(target, small, false), svsm::fail_no_change);
  one(stage, "rescind twice, ignored", PageEntry::make(target, small, false, true),
      ResultCode::success);
  one(stage, "validate", PageEntry::make(target, small, true), ResultCode::success);
  expect(stage, "validate: validated", stage.is_validated(target) ? 1 : 0, 1);
  expect(stage, "validate: zeroed", get<u64>(stage, target), 0);
}

void large_pages(Stage& stage) {
  const Facts& facts = stage.facts();
  one(stage, "2 MiB over small pages", PageEntry::make(facts.small_block, large, false),
      svsm::fail_size_mismatch);
  expect(stage, "2 MiB over small pages: nothing", stage.is_validated(facts.small_block) ? 1 : 0,
         1);
  const GuestPhysical last = facts.large_block + (large_page_size - page_size);
  one(stage, "2 MiB rescind", PageEntry::make(facts.large_block, large, false),
      ResultCode::success);
  expect(stage, "2 MiB rescind: last page", stage.is_validated(last) ? 1 : 0, 0);
  one(stage, "2 MiB validate", PageEntry::make(facts.large_block, large, true),
      ResultCode::success);
  expect(stage, "2 MiB validate: last page", stage.is_validated(last) ? 1 : 0, 1);
}

}  // namespace

void pvalidate_list_cases(Stage& stage) {
  const GuestPhysical list = stage.at(Place::list);
  const GuestPhysical target = stage.at(Place::target);
  const auto with_header = [&](const char* name, u16 entries, u16 next) {
    put(stage, list, PageListHeader{entries, next, 0});
    expect_call(stage, name, pvalidate(list.value()), ResultCode::invalid_parameter);
    expect(stage, name, get<PageListHeader>(stage, list).next, next);
  };
  expect_call(stage, "list misaligned", pvalidate(list.value() + 4), ResultCode::invalid_parameter);
  expect_call(stage, "list in SVSM memory", pvalidate(stage.facts().svsm.value()),
              ResultCode::invalid_address);
  expect_call(stage, "list outside RAM", pvalidate(stage.facts().ram_end),
              ResultCode::invalid_address);
  expect_call(stage, "list at the address space's end", pvalidate(~u64{7}),
              ResultCode::invalid_address);
  with_header("list of no entries", 0, 0);
  with_header("list that is finished", 3, 3);
  with_header("list beyond its end", 3, 0xFFFF);
  with_header("list longer than its page", svsm::max_entries_in_page + 1, 0);
  with_header("list of 65535 entries", 0xFFFF, 0);
  put(stage, list + 0xFF8, PageListHeader{1, 0, 0});
  expect_call(stage, "list across its page", pvalidate(list.value() + 0xFF8),
              ResultCode::invalid_parameter);
  // The first entry is skipped, the second fails, the third is never reached.
  put(stage, list, PageListHeader{3, 1, 0});
  put(stage, list + 8, PageEntry::make(target, small, false));
  put(stage, list + 16, PageEntry::make(stage.facts().svsm, small, false));
  put(stage, list + 24, PageEntry::make(target, small, false));
  expect_call(stage, "list from the second entry", pvalidate(list.value()),
              ResultCode::invalid_address);
  expect(stage, "list names the entry that failed", get<PageListHeader>(stage, list).next, 1);
  expect(stage, "list: nothing else was done", stage.is_validated(target) ? 1 : 0, 1);
}

void pvalidate_entry_cases(Stage& stage) {
  refused_addresses(stage);
  refused_formats(stage);
  state_changes(stage);
  large_pages(stage);
}

}  // namespace softsnp::conformance

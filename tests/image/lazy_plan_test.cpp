// Memory that is left to the kernel to accept: what stays in the launch, and what the EFI tables
// say, field by field from UEFI 2.10 (4.3, 4.5.1, 4.6, 7.2.3) and Linux' efi.h.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "arch/boot/boot_params.hpp"
#include "image/unaccepted.hpp"
#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

using checks::load;

constexpr u64 mib = u64{1} << 20, gib = u64{1} << 30;
constexpr u64 kernel_at = 0x1000000, kernel_end = 0x1300000;

using samples::accepting_kernel;

Inputs lazy_inputs(const std::vector<u8>& kernel, u64 memory) {
  Inputs inputs = samples::inputs(kernel);
  inputs.acceptance = Acceptance::lazy;
  inputs.memory_size = memory;
  return inputs;
}

LaunchPlan lazy_plan(const std::vector<u8>& kernel, u64 memory) {
  auto plan = build(lazy_inputs(kernel, memory));
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text);
  return plan.ok() ? std::move(*plan) : LaunchPlan{};
}

struct Piece {
  u64 start = 0, end = 0;
  friend bool operator<(const Piece& a, const Piece& b) { return a.start < b.start; }
};

std::vector<Piece> sorted(std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end());
  return pieces;
}

// Neighbours joined; an overlap is a failure.
std::vector<Piece> joined(const std::vector<Piece>& pieces) {
  std::vector<Piece> result;
  for (const Piece& piece : sorted(pieces)) {
    EXPECT_LT(piece.start, piece.end);
    if (!result.empty()) {
      EXPECT_GE(piece.start, result.back().end) << "twice: " << hex(piece.start);
    }
    if (!result.empty() && piece.start == result.back().end) {
      result.back().end = piece.end;
    } else {
      result.push_back(piece);
    }
  }
  return result;
}

std::vector<Piece> ram_of(const LaunchPlan& plan) {
  std::vector<Piece> ram;
  for (const RamRange& range : plan.ram) {
    ram.push_back({range.start.value(), range.end().value()});
  }
  return ram;
}

void expect_same(const std::vector<Piece>& a, const std::vector<Piece>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (usize i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].start, b[i].start);
    EXPECT_EQ(a[i].end, b[i].end);
  }
}

struct Descriptor {
  u32 type, padding;
  u64 physical, virtual_start, pages, attributes;
};

std::vector<Descriptor> memory_map(const LaunchPlan& plan) {
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  EXPECT_EQ(u32{params.efi_info.descriptor_size}, sizeof(Descriptor));
  EXPECT_EQ(params.efi_info.memory_map_size % sizeof(Descriptor), 0u);
  std::vector<Descriptor> map;
  for (u64 at = 0; at < params.efi_info.memory_map_size; at += sizeof(Descriptor)) {
    map.push_back(load<Descriptor>(plan, params.efi_info.memory_map + at));
  }
  return map;
}

u32 type_at(const std::vector<Descriptor>& map, u64 gpa) {
  for (const Descriptor& entry : map) {
    if (gpa >= entry.physical && gpa - entry.physical < entry.pages << 12) {
      return entry.type;
    }
  }
  return ~u32{0};
}

u64 configuration_table(const LaunchPlan& plan, u64 guid_low, u64 guid_high) {
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  const u64 system_table = params.efi_info.system_table;
  const u64 count = load<u64>(plan, system_table + 104);
  const u64 table = load<u64>(plan, system_table + 112);
  for (u64 i = 0; i < count; ++i) {
    if (load<u64>(plan, table + 24 * i) == guid_low &&
        load<u64>(plan, table + 24 * i + 8) == guid_high) {
      return load<u64>(plan, table + 24 * i + 16);
    }
  }
  return 0;
}

u64 unaccepted_table_of(const LaunchPlan& plan) {
  return configuration_table(plan, 0x44F9105CD5D1DE3C, 0x31001298EFBCA99E);
}

// Bit by bit, written from the header's comment, not from the builder.
std::vector<Piece> units_to_accept(const LaunchPlan& plan) {
  const u64 at = unaccepted_table_of(plan);
  EXPECT_EQ(load<u32>(plan, at), 1u);
  const u64 unit = load<u32>(plan, at + 4);
  const u64 base = load<u64>(plan, at + 8);
  EXPECT_EQ(unit, 2 * mib);
  std::vector<Piece> pieces;
  for (u64 i = 0; i < load<u64>(plan, at + 16) * 8; ++i) {
    if ((load<u8>(plan, at + 24 + i / 8) >> (i % 8) & 1) != 0) {
      pieces.push_back({base + i * unit, base + (i + 1) * unit});
    }
  }
  return joined(pieces);
}

std::string sizes_text(u64 size) {
  return size_text(size);
}

void check_cover(const LaunchPlan& plan) {
  std::vector<Piece> launched_or_left;
  std::vector<Piece> left;
  for (const LaunchRegion& region : plan.regions) {
    launched_or_left.push_back({region.gpa.value(), region.gpa.value() + region.length});
  }
  for (const RamRange& range : plan.unaccepted) {
    EXPECT_EQ(range.start.value() % (2 * mib), 0u);
    EXPECT_EQ(range.length % (2 * mib), 0u);
    left.push_back({range.start.value(), range.end().value()});
  }
  launched_or_left.insert(launched_or_left.end(), left.begin(), left.end());
  expect_same(joined(launched_or_left), joined(ram_of(plan)));
  if (!left.empty()) {
    expect_same(units_to_accept(plan), joined(left));
  } else {
    EXPECT_EQ(unaccepted_table_of(plan), 0u);
  }
}

void check_map(const LaunchPlan& plan) {
  const std::vector<Descriptor> map = memory_map(plan);
  EXPECT_LE(map.size() * sizeof(Descriptor), 4096u);
  std::vector<Piece> all;
  std::vector<Piece> unaccepted;
  u64 last = 0;
  for (const Descriptor& entry : map) {
    EXPECT_GE(entry.physical, last) << "not ascending";
    last = entry.physical + (entry.pages << 12);
    EXPECT_EQ(entry.virtual_start, entry.physical);
    all.push_back({entry.physical, last});
    if (entry.type == 15) {
      unaccepted.push_back(all.back());
    }
  }
  expect_same(joined(all), joined(ram_of(plan)));
  std::vector<Piece> left;
  for (const RamRange& range : plan.unaccepted) {
    left.push_back({range.start.value(), range.end().value()});
  }
  expect_same(joined(unaccepted), joined(left));
  for (const boot::E820Entry& entry : plan.e820) {
    const u32 type = type_at(map, entry.base);
    const bool may_be_used = type == 2 || type == 7 || type == 15;
    EXPECT_EQ(may_be_used, entry.type == boot::E820Type::ram) << hex(entry.base);
  }
}

TEST(LazyPlan, MapAndBitmapCoverRamExactlyOnce) {
  const std::vector<u8> kernel = accepting_kernel();
  std::mt19937_64 random(5);
  std::vector<u64> sizes = {20 * mib,       64 * mib, 65 * mib + 4096, 3 * gib,
                            3 * gib + 4096, 8 * gib,  1024 * gib};
  for (int i = 0; i < 24; ++i) {
    sizes.push_back(20 * mib + random() % (16 * gib) / 4096 * 4096);
  }
  for (const u64 size : sizes) {
    SCOPED_TRACE(sizes_text(size));
    const std::vector<u8> initrd(random() % (1 << 20) + 1, 0xA5);
    Inputs inputs = lazy_inputs(kernel, size);
    if (size >= 64 * mib) {
      inputs.initrd = {"initrd", initrd};
    }
    auto plan = build(inputs);
    ASSERT_TRUE(plan.ok()) << plan.error().text;
    EXPECT_EQ(checks::broken_invariant(*plan), "");
    check_cover(*plan);
    check_map(*plan);
  }
}

TEST(LazyPlan, WhatIsTouchedBeforeItIsAcceptedIsLaunched) {
  const std::vector<u8> kernel = accepting_kernel();
  const std::vector<u8> initrd(5000, 0xA5);
  Inputs inputs = lazy_inputs(kernel, 512 * mib);
  inputs.initrd = {"initrd", initrd};
  const auto plan = build(inputs);
  ASSERT_TRUE(plan.ok()) << plan.error().text;
  const auto is_left = [&](u64 gpa) {
    return std::any_of(plan->unaccepted.begin(), plan->unaccepted.end(), [&](const RamRange& r) {
      return gpa >= r.start.value() && gpa < r.end().value();
    });
  };
  for (u64 page = 0; page < 2 * mib; page += 4096) {
    EXPECT_FALSE(is_left(page)) << hex(page);
  }
  for (u64 page = kernel_at; page < kernel_end; page += 4096) {
    EXPECT_FALSE(is_left(page)) << hex(page);
  }
  EXPECT_FALSE(is_left(plan->layout.initrd.value()));
  EXPECT_TRUE(is_left(2 * mib));
  EXPECT_TRUE(is_left(align_up(kernel_end, 2 * mib)));
  EXPECT_TRUE(is_left(256 * mib));
  u64 launched = 0;
  for (const LaunchRegion& region : plan->regions) {
    launched += region.length;
  }
  EXPECT_LT(launched, 10 * mib);
}

TEST(LazyPlan, EveryNeededRangeStaysInTheLaunch) {
  const auto block = [](u64 n) { return GuestPhysical(n * 2 * mib); };
  const std::vector<LaunchRegion> regions = {{block(1), 10 * 2 * mib, PageType::zero, {}, {}},
                                             {block(11), 2 * mib, PageType::normal, {}, {}},
                                             {block(12), 4096, PageType::zero, {}, {}}};
  const auto left =
      unaccepted_blocks(regions, {{block(3) + 4096, 4096}, {block(5), 4 * mib + 1}, {block(1), 0}});
  std::vector<Piece> pieces;
  pieces.reserve(left.size());
  for (const RamRange& range : left) {
    pieces.push_back({range.start.value() / (2 * mib), range.end().value() / (2 * mib)});
  }
  expect_same(pieces, {{1, 3}, {4, 5}, {8, 11}});
}

// IEEE 802.3, over a header whose CRC field reads as zero.
u32 crc_of_table(const LaunchPlan& plan, u64 at, u64 size) {
  u32 crc = ~u32{0};
  for (u64 i = 0; i < size; ++i) {
    crc ^= i >= 16 && i < 20 ? 0 : load<u8>(plan, at + i);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
  }
  return ~crc;
}

TEST(LazyPlan, SystemTableIsUefis) {
  const std::vector<u8> kernel = accepting_kernel();
  const LaunchPlan plan = lazy_plan(kernel, 512 * mib);
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  const std::vector<Descriptor> map = memory_map(plan);
  EXPECT_EQ(std::memcmp(&params.efi_info, "EL64", 4), 0);
  EXPECT_EQ(u32{params.efi_info.descriptor_version}, 1u);
  EXPECT_EQ(params.secure_boot, 2);  // disabled
  const u64 at = params.efi_info.system_table;
  EXPECT_EQ(load<u64>(plan, at), 0x5453595320494249u);  // "IBI SYST"
  EXPECT_EQ(load<u32>(plan, at + 8), 0x20064u);         // 2.10
  EXPECT_EQ(load<u32>(plan, at + 12), 120u);
  EXPECT_EQ(load<u32>(plan, at + 16), crc_of_table(plan, at, 120));
  EXPECT_EQ(load<u32>(plan, at + 20), 0u);
  const u64 vendor = load<u64>(plan, at + 24);
  EXPECT_EQ(load<u16>(plan, vendor), u16{'s'});
  EXPECT_EQ(load<u16>(plan, vendor + 14), 0);
  for (u64 console = 40; console < 88; console += 8) {
    EXPECT_EQ(load<u64>(plan, at + console), 0u);
  }
  EXPECT_EQ(load<u64>(plan, at + 96), 0u) << "boot services are over";
  EXPECT_EQ(type_at(map, at), 6u) << "the system table belongs to EfiRuntimeServicesData";
}

TEST(LazyPlan, RuntimeServicesAreThereAndUnsupported) {
  const std::vector<u8> kernel = accepting_kernel();
  const LaunchPlan plan = lazy_plan(kernel, 512 * mib);
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  const std::vector<Descriptor> map = memory_map(plan);
  const u64 at = load<u64>(plan, params.efi_info.system_table + 88);
  EXPECT_EQ(load<u64>(plan, at), 0x56524553544E5552u);  // "RUNTSERV"
  EXPECT_EQ(load<u32>(plan, at + 12), 136u);
  EXPECT_EQ(load<u32>(plan, at + 16), crc_of_table(plan, at, 136));
  for (u64 service = 24; service < 136; service += 8) {
    const u64 code = load<u64>(plan, at + service);
    EXPECT_EQ(type_at(map, code), 5u);
    EXPECT_EQ(load<u16>(plan, code), 0xB848);  // mov rax,
    EXPECT_EQ(load<u64>(plan, code + 2), 0x8000000000000003u);
    EXPECT_EQ(load<u8>(plan, code + 10), 0xC3);
  }
  for (const Descriptor& entry : map) {
    const bool runtime = entry.type == 5 || entry.type == 6;
    EXPECT_EQ(entry.attributes, (runtime ? u64{1} << 63 : 0) | 8);
  }
  const u64 properties = configuration_table(plan, 0x402A7EEFEB66918A, 0xE98AC3211D932E84);
  ASSERT_NE(properties, 0u);
  EXPECT_EQ(load<u16>(plan, properties), 1);
  EXPECT_EQ(load<u16>(plan, properties + 2), 8);
  EXPECT_EQ(load<u32>(plan, properties + 4), 0u);
}

TEST(LazyPlan, ConfigurationTablesAndSetupData) {
  const std::vector<u8> kernel = accepting_kernel();
  const LaunchPlan plan = lazy_plan(kernel, 512 * mib);
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  const std::vector<Descriptor> map = memory_map(plan);
  EXPECT_EQ(configuration_table(plan, 0x11D3E4F18868E871, 0x81883CC7800022BC), 0xE0000u);
  const u64 blob = configuration_table(plan, 0x44C5CF26067B1F5F, 0x422D9177D7935485);
  EXPECT_EQ(load<u32>(plan, blob), 0x45444D41u);
  EXPECT_EQ(type_at(map, unaccepted_table_of(plan)), 9u);
  EXPECT_EQ(type_at(map, u64{params.efi_info.memory_map}), 9u);
  EXPECT_EQ(type_at(map, blob), 0u);
  // The node for the CC blob, then the one that says that addresses are settled.
  const u64 node = load<u64>(plan, params.header.setup_data);
  EXPECT_EQ(load<u64>(plan, node), 0u);
  EXPECT_EQ(load<u32>(plan, node + 8), 4u);
  EXPECT_EQ(load<u32>(plan, node + 12), 96u);
  EXPECT_EQ(load<u64>(plan, node + 32), load<u64>(plan, params.efi_info.system_table + 112));
}

TEST(LazyPlan, EagerPlansHaveNoEfi) {
  const std::vector<u8> kernel = accepting_kernel();
  const auto plan = build(samples::inputs(kernel));
  ASSERT_TRUE(plan.ok());
  const auto params = load<boot::BootParams>(*plan, plan->entry_state.rsi);
  EXPECT_EQ(u32{params.efi_info.loader_signature}, 0u);
  EXPECT_EQ(params.secure_boot, 0);
  EXPECT_TRUE(plan->unaccepted.empty());
  EXPECT_EQ(load<u64>(*plan, params.header.setup_data), 0u);
}

void expect_refused(const Inputs& inputs, const char* words) {
  const auto plan = build(inputs);
  ASSERT_FALSE(plan.ok()) << words;
  EXPECT_NE(plan.error().text.find(words), std::string::npos) << plan.error().text;
  EXPECT_EQ(plan.error().text.find('\n'), std::string::npos);
}

TEST(LazyPlan, WhatCannotWorkIsRefused) {
  const std::vector<u8> kernel = accepting_kernel();
  expect_refused(lazy_inputs(samples::bzimage(), 64 * mib), "cannot accept memory itself");
  expect_refused(lazy_inputs(samples::elf64(), 64 * mib), "only a bzImage");
  expect_refused(lazy_inputs(samples::multiboot_addresses(), 64 * mib), "only a bzImage");
  expect_refused(lazy_inputs(kernel, 4 * mib), "memory too small");
  expect_refused(lazy_inputs(kernel, 2048 * gib), "expected 4 MiB to");
  Inputs plain = lazy_inputs(kernel, 64 * mib);
  plain.mode = Mode::plain;
  expect_refused(plain, "only an SEV-SNP guest");
  std::vector<u8> low = accepting_kernel();  // would lie over the EFI tables
  samples::put<u32>(low, 0x230, 0x1000);
  samples::put<u64>(low, 0x258, 0x80000);
  samples::put<u32>(low, 0x260, 0x10000);
  expect_refused(lazy_inputs(low, 64 * mib), "expected it within");
}

}  // namespace
}  // namespace softsnp::image

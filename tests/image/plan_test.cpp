#include <gtest/gtest.h>

#include "arch/boot/boot_params.hpp"
#include "arch/boot/setup_data.hpp"
#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

using checks::load;

LaunchPlan plan_of(const Inputs& inputs) {
  auto plan = build(inputs);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().text);
  return plan.ok() ? std::move(*plan) : LaunchPlan{};
}

TEST(Plan, EveryFormatModeAndSizeCoversRamExactlyOnce) {
  const std::vector<std::vector<u8>> kernels = {
      samples::bzimage(), samples::elf64(), samples::multiboot_addresses(),
      samples::multiboot_elf32(), samples::multiboot_elf64()};
  const u64 mib = 1 << 20;
  for (const auto& kernel : kernels) {
    for (const Mode mode : {Mode::snp, Mode::plain}) {
      for (const u64 size : {64 * mib, 65 * mib + 4096, 3072 * mib, 3074 * mib, 8192 * mib}) {
        Inputs inputs = samples::inputs(kernel, mode);
        inputs.memory_size = size;
        const LaunchPlan plan = plan_of(inputs);
        EXPECT_EQ(checks::broken_invariant(plan), "") << size;
        u64 total = 0;
        for (const LaunchRegion& region : plan.regions) {
          total += region.length;
        }
        EXPECT_EQ(total, size - 0x20000);  // all but the VGA window
      }
    }
  }
}

TEST(Plan, WhatLinuxTouchesWithoutAskingIsValidated) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  EXPECT_EQ(checks::byte_at(plan, 0x40E), u8{0});
  EXPECT_EQ(checks::byte_at(plan, 0x413), u8{0});
  for (u64 page = 0x80000; page < 0x100000; page += 0x1000) {
    const bool hole = page >= 0xA0000 && page < 0xC0000;
    EXPECT_EQ(checks::byte_at(plan, page).has_value(), !hole) << page;
  }
}

TEST(Plan, BzimageFollowsTheBootProtocol) {
  const std::vector<u8> kernel = samples::bzimage();
  const std::vector<u8> initrd(5000, 0xA5);
  Inputs inputs = samples::inputs(kernel);
  inputs.initrd = {"initrd", initrd};
  const LaunchPlan plan = plan_of(inputs);
  EXPECT_EQ(plan.format, Format::bzimage);
  EXPECT_EQ(u64{plan.entry_state.rip}, 0x1000200u);
  EXPECT_EQ(plan.layout.kernel_end.value(), 0x1300000u);
  EXPECT_EQ(load<u8>(plan, 0x1000000), 1);
  EXPECT_EQ(load<u8>(plan, 0x1007FFF), static_cast<u8>(0x7FFF * 7 + 1));
  EXPECT_EQ(load<u8>(plan, 0x1008000), 0);  // the signature is not loaded

  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  for (const u8 byte : params.screen_info) {
    EXPECT_EQ(byte, 0);
  }
  EXPECT_EQ(params.sentinel, 0);
  EXPECT_EQ(u32{params.cc_blob_address}, 0u);
  EXPECT_EQ(params.header.type_of_loader, 0xFF);
  EXPECT_EQ(u32{params.header.header}, 0x53726448u);
  EXPECT_EQ(u32{params.header.init_size}, 0x300000u);
  EXPECT_EQ(u32{params.header.ramdisk_size}, 5000u);
  EXPECT_EQ(params.header.ramdisk_image % 4096, 0u);
  EXPECT_EQ(load<u8>(plan, params.header.ramdisk_image + 4999), 0xA5);
  EXPECT_EQ(u64{params.acpi_rsdp_addr}, 0xE0000u);
  EXPECT_EQ(load<u8>(plan, params.header.cmd_line_ptr), 'c');
  EXPECT_EQ(load<u8>(plan, params.header.cmd_line_ptr + 13), 0);
}

TEST(Plan, OnlyAsMuchHeaderAsTheImageDeclaresIsCopied) {
  std::vector<u8> kernel = samples::bzimage();
  kernel[0x201] = 0x264 - 0x202;  // ends before handover_offset
  samples::put<u32>(kernel, 0x264, 0x12345678);
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  EXPECT_EQ(u32{params.header.handover_offset}, 0u);
  EXPECT_EQ(u32{params.header.init_size}, 0x300000u);
}

TEST(Plan, CcPagesAreReachableAndReserved) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  const auto node = load<boot::CcBlobNode>(plan, params.header.setup_data);
  EXPECT_EQ(node.header.next, 0u);
  EXPECT_EQ(static_cast<u32>(node.header.type), 7u);
  EXPECT_GE(node.header.length, 4u);
  const auto blob = load<boot::CcBlob>(plan, node.cc_blob_address);
  EXPECT_EQ(blob.magic, 0x45444D41u);
  EXPECT_EQ(blob.secrets_length, 4096u);
  EXPECT_EQ(blob.cpuid_length, 4096u);
  usize found = 0;
  for (const LaunchRegion& region : plan.regions) {
    found += region.type == PageType::secrets && region.gpa.value() == blob.secrets_address;
    found += region.type == PageType::cpuid && region.gpa.value() == blob.cpuid_address;
  }
  EXPECT_EQ(found, 2u);
  EXPECT_EQ(load<u32>(plan, blob.cpuid_address), 2u);
  EXPECT_EQ(load<u32>(plan, blob.cpuid_address + 0x10 + 0x30), 1u);         // EAX_IN
  EXPECT_EQ(load<u32>(plan, blob.cpuid_address + 0x10 + 0x48), 0xA10F11u);  // EAX
  for (const u64 page : {u64{node.cc_blob_address}, blob.secrets_address, blob.cpuid_address}) {
    for (const boot::E820Entry& entry : plan.e820) {
      if (page >= entry.base && page < entry.base + entry.size) {
        EXPECT_EQ(boot::E820Type{entry.type}, boot::E820Type::reserved);
      }
    }
  }
}

TEST(Plan, PlainModeHasNeitherCBitNorCcPages) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel, Mode::plain));
  const auto params = load<boot::BootParams>(plan, plan.entry_state.rsi);
  EXPECT_EQ(u64{params.header.setup_data}, 0u);
  EXPECT_EQ(u64{plan.entry_state.sev_features}, 0u);
  EXPECT_EQ(u64{plan.entry_state.efer}, 0x500u);
  EXPECT_EQ(load<u64>(plan, plan.entry_state.cr3) >> 51, 0u);
}

// A walker of our own over the plan's tables.
u64 leaf_of(const LaunchPlan& plan, u64 address) {
  constexpr u64 frame = 0x0007FFFFFFFFF000;
  u64 table = plan.entry_state.cr3;
  for (unsigned shift = 39; shift >= 21; shift -= 9) {
    const u64 entry = load<u64>(plan, (table & frame) + ((address >> shift) & 511) * 8);
    EXPECT_EQ(entry & 3, 3u);
    if ((entry & 0x80) != 0) {
      return entry;
    }
    table = entry;
  }
  return 0;
}

TEST(Plan, IdentityMapHasTheCBitOnRamOnly) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  for (const u64 address : {u64{0}, u64{0x200000}, u64{0x1000200}, u64{0xBFE00000}}) {
    EXPECT_EQ(leaf_of(plan, address) & 0x000FFFFFFFE00000,
              (u64{1} << 51) | (address & ~0x1FFFFFull));
    EXPECT_EQ(leaf_of(plan, address) >> 63, 0u);  // executable
  }
  EXPECT_EQ(leaf_of(plan, 0xFEC00000) & 0x000FFFFFFFE00000, 0xFEC00000u);
}

TEST(Plan, EntryStateIsTheOneOfTheSheet) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  const svm::Vmsa& state = plan.entry_state;
  EXPECT_EQ(u64{state.cr0}, 0x80000011u);
  EXPECT_EQ(u64{state.cr4}, 0x20u);
  EXPECT_EQ(u64{state.efer}, 0x1500u);
  EXPECT_EQ(u64{state.rflags}, 2u);
  EXPECT_EQ(u64{state.g_pat}, 0x0007040600070406u);
  EXPECT_EQ(u64{state.dr6}, 0xFFFF0FF0u);
  EXPECT_EQ(u64{state.dr7}, 0x400u);
  EXPECT_EQ(u64{state.xcr0}, 1u);
  EXPECT_EQ(u32{state.mxcsr}, 0x1F80u);
  EXPECT_EQ(u64{state.sev_features}, 1u);
  EXPECT_EQ(u16{state.cs.attributes}, 0xA9B);
  EXPECT_EQ(u16{state.ss.attributes}, 0xC93);
  EXPECT_EQ(u16{state.tr.attributes}, 0x8B);
  EXPECT_EQ(u16{state.ldtr.attributes}, 0x82);
  EXPECT_EQ(state.vmpl, 0);
}

TEST(Plan, InjectionModeIsInTheVmsa) {
  const std::vector<u8> kernel = samples::elf64();
  Inputs inputs = samples::inputs(kernel);
  inputs.injection = snp::InjectionMode::restricted;
  EXPECT_EQ(u64{plan_of(inputs).entry_state.sev_features}, 9u);
  inputs.injection = snp::InjectionMode::alternate;  // of what VMPL0 will start
  EXPECT_EQ(u64{plan_of(inputs).entry_state.sev_features}, 9u);
  EXPECT_EQ(plan_of(inputs).injection, snp::InjectionMode::alternate);
}

TEST(Plan, InjectionModesThatCannotBe) {
  const std::vector<u8> elf = samples::elf64();
  for (const auto injection : {snp::InjectionMode::restricted, snp::InjectionMode::alternate}) {
    for (const Mode mode : {Mode::plain, Mode::sev, Mode::sev_es}) {
      Inputs inputs = samples::inputs(elf, mode);
      inputs.injection = injection;
      const auto plan = build(inputs);
      ASSERT_FALSE(plan.ok());
      EXPECT_NE(plan.error().text.find("SEV-SNP"), std::string::npos);
    }
  }
  const std::vector<u8> linux_kernel = samples::bzimage();
  Inputs inputs = samples::inputs(linux_kernel);
  inputs.injection = snp::InjectionMode::restricted;
  EXPECT_TRUE(build(inputs).ok());
  inputs.injection = snp::InjectionMode::alternate;
  const auto plan = build(inputs);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().text.find("SVSM at VMPL0"), std::string::npos);
}

TEST(Plan, ElfIsLoadedByPhysicalAddressAndZeroFilled) {
  const std::vector<u8> kernel = samples::elf64();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  EXPECT_EQ(plan.format, Format::elf64);
  EXPECT_EQ(u64{plan.entry_state.rip}, 0x200010u);
  EXPECT_EQ(load<u8>(plan, 0x200010), kernel[0x1010]);
  EXPECT_EQ(load<u8>(plan, 0x202FFF), kernel[0x3FFF]);
  EXPECT_EQ(load<u8>(plan, 0x203000), 0);
  EXPECT_EQ(load<u8>(plan, 0x4000FF), kernel[0x40FF]);
  EXPECT_EQ(plan.layout.kernel_end.value(), 0x400100u);
}

TEST(Plan, ElfEntryMayBeVirtual) {
  std::vector<u8> kernel = samples::elf64();
  samples::put<u64>(kernel, 0x18, 0xFFFF800000200020);
  EXPECT_EQ(u64{plan_of(samples::inputs(kernel)).entry_state.rip}, 0x200020u);
}

TEST(Plan, MultibootStartsInFlatProtectedMode) {
  for (const auto& kernel :
       {samples::multiboot_addresses(), samples::multiboot_elf32(), samples::multiboot_elf64()}) {
    const LaunchPlan plan = plan_of(samples::inputs(kernel));
    EXPECT_EQ(plan.format, Format::multiboot);
    EXPECT_EQ(u64{plan.entry_state.rax}, 0x2BADB002u);
    EXPECT_EQ(u64{plan.entry_state.cr0}, 0x11u);
    EXPECT_EQ(u64{plan.entry_state.efer}, 0x1000u);
    EXPECT_EQ(u16{plan.entry_state.cs.attributes}, 0xC9B);
    EXPECT_EQ(u32{plan.entry_state.cs.limit}, 0xFFFFFFFFu);
  }
}

TEST(Plan, MultibootInformationDescribesMemoryAndModule) {
  const std::vector<u8> kernel = samples::multiboot_addresses();
  const std::vector<u8> initrd(100, 0x5A);
  Inputs inputs = samples::inputs(kernel);
  inputs.initrd = {"module.bin", initrd};
  const LaunchPlan plan = plan_of(inputs);
  EXPECT_EQ(u64{plan.entry_state.rip}, 0x100200u);
  EXPECT_EQ(load<u8>(plan, 0x100200), 0xF4);
  EXPECT_EQ(plan.layout.kernel_end.value(), 0x104000u);
  const auto info = load<boot::multiboot::Info>(plan, plan.entry_state.rbx);
  EXPECT_EQ(info.flags & 0x4D, 0x4Du);
  EXPECT_EQ(info.mem_upper, (64u - 1) * 1024);
  EXPECT_EQ(info.mmap_length, plan.e820.size() * 24);
  u64 ram = 0;
  for (u32 at = 0; at < info.mmap_length; at += 24) {
    const auto row = load<boot::multiboot::MmapEntry>(plan, info.mmap_addr + at);
    EXPECT_EQ(u32{row.size}, 20u);
    ram += row.type == 1 ? row.length : 0;
  }
  EXPECT_EQ(ram, (u64{63} << 20) + 0x9F000 - 0x3000);
  ASSERT_EQ(info.mods_count, 1u);
  const auto module = load<boot::multiboot::Module>(plan, info.mods_addr);
  EXPECT_EQ(module.end - module.start, 100u);
  EXPECT_EQ(load<u8>(plan, module.end - 1), 0x5A);
  EXPECT_EQ(load<u8>(plan, module.string), 'm');
}

TEST(Plan, LargeBlocksAreKeptWhole) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan plan = plan_of(samples::inputs(kernel));
  for (const LaunchRegion& region : plan.regions) {
    if (region.gpa.value() >= large_page_size) {
      EXPECT_TRUE(region.gpa.is_large_page_aligned());
      EXPECT_EQ(region.length % large_page_size, 0u);
    }
  }
}

TEST(Plan, IsAValue) {
  const std::vector<u8> kernel = samples::bzimage();
  const LaunchPlan a = plan_of(samples::inputs(kernel));
  const LaunchPlan b = plan_of(samples::inputs(kernel));
  ASSERT_EQ(a.regions.size(), b.regions.size());
  for (usize i = 0; i < a.regions.size(); ++i) {
    EXPECT_EQ(a.regions[i].gpa, b.regions[i].gpa);
    EXPECT_EQ(a.regions[i].bytes, b.regions[i].bytes);
  }
  EXPECT_EQ(std::memcmp(a.entry_state.raw, b.entry_state.raw, sizeof a.entry_state.raw), 0);
}

}  // namespace
}  // namespace softsnp::image

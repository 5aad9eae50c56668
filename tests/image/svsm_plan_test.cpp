// Plans with an SVSM: where it is, what it is told, how it starts.
#include <gtest/gtest.h>

#include "arch/boot/svsm_launch.hpp"
#include "arch/x86/registers.hpp"
#include "image/low_memory.hpp"
#include "image/svsm.hpp"
#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

namespace elf = boot::elf;
using checks::load;

constexpr u64 base = boot::svsm_virtual_base;
constexpr u64 c_bit = u64{1} << 51;

// 0x1000 bytes of code, 0x3000 in memory.
std::vector<u8> svsm_image(u64 vaddr = base, u64 memory = 0x3000) {
  std::vector<u8> file(0x2000, 0xC3);
  elf::Header64 header{};
  std::memcpy(header.ident, elf::magic, sizeof elf::magic);
  header.ident[elf::ident_class] = elf::class_64;
  header.ident[elf::ident_data] = elf::data_little_endian;
  header.type = elf::type_executable;
  header.machine = elf::machine_x86_64;
  header.entry = vaddr + 0x10;
  header.phoff = sizeof header;
  header.phentsize = sizeof(elf::ProgramHeader64);
  header.phnum = 1;
  samples::put(file, 0, header);
  samples::put(file, 0x40, elf::ProgramHeader64{1, 7, 0x1000, vaddr, vaddr, 0x1000, memory, 0});
  return file;
}

struct SvsmPlan : testing::Test {
  Inputs inputs_with(const std::vector<u8>& file) const {
    Inputs inputs = samples::inputs(file);
    inputs.svsm = Svsm{{"svsm", svsm}};
    inputs.vcpu_count = 3;
    return inputs;
  }
  std::string error(const Inputs& inputs) const {
    const auto plan = build(inputs);
    return plan ? "" : plan.error().text;
  }
  std::vector<u8> svsm = svsm_image();
  std::vector<u8> kernel = samples::bzimage();
};

// As the processor would walk them.
u64 translate(const LaunchPlan& plan, u64 address) {
  u64 entry = plan.entry_state.cr3;
  for (unsigned shift = 39;; shift -= 9) {
    const u64 table = entry & x86::pte::address_mask & ~c_bit;
    entry = load<u64>(plan, table + 8 * ((address >> shift) & 511));
    EXPECT_NE(entry & x86::pte::present, 0u) << hex(address);
    EXPECT_NE(entry & c_bit, 0u) << hex(address);
    if ((entry & x86::pte::present) == 0 || (entry & x86::pte::large) != 0) {
      const u64 within = (u64{1} << shift) - 1;
      return (entry & x86::pte::address_mask & ~c_bit & ~within) | (address & within);
    }
  }
}

TEST_F(SvsmPlan, LiesAtTheTopOfRamAndIsReserved) {
  const auto plan = build(inputs_with(kernel));
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_EQ(checks::broken_invariant(*plan), "");
  const RamRange own = plan->layout.svsm;
  EXPECT_EQ(own.end().value(), u64{64} << 20);
  EXPECT_EQ(own.length, large_page_size);
  EXPECT_EQ(checks::byte_at(*plan, own.start.value()), 0xC3);
  for (const boot::E820Entry& entry : plan->e820) {
    const bool meets_own =
        entry.base < own.end().value() && entry.base + entry.size > own.start.value();
    const bool meets_area = entry.base < 0xF000 && entry.base + entry.size > 0xE000;
    EXPECT_TRUE(!(meets_own || meets_area) || entry.type == boot::E820Type::reserved);
  }
}

TEST_F(SvsmPlan, StartsAtItsAddressAndSeesAllMemory) {
  const auto plan = build(inputs_with(kernel));
  ASSERT_TRUE(plan) << plan.error().text;
  const u64 own = plan->layout.svsm.start.value();
  EXPECT_EQ(plan->entry_state.rip, base + 0x10);
  EXPECT_EQ(plan->entry_state.vmpl, 0);
  EXPECT_EQ(translate(*plan, base + 0x2FFF), own + 0x2FFF);
  for (const u64 address : {u64{0}, u64{0x1234567}, own, own + 0x1FFFFF}) {
    EXPECT_EQ(translate(*plan, address), address);
  }
}

TEST_F(SvsmPlan, IsToldTheGuestsStartAndTheMemoryMap) {
  const auto plan = build(inputs_with(kernel));
  const auto without = [&] {
    Inputs inputs = inputs_with(kernel);
    inputs.svsm.reset();
    return build(inputs);
  }();
  ASSERT_TRUE(plan && without);
  const auto pages = load<boot::SvsmLaunchPages>(*plan, plan->entry_state.rdi);
  const boot::SvsmLaunch& launch = pages.launch;
  EXPECT_EQ(std::memcmp(pages.guest.raw, without->entry_state.raw, sizeof pages.guest), 0);
  EXPECT_EQ(pages.guest.sev_features, 1u);
  EXPECT_EQ(launch.vcpu_count, 3u);
  EXPECT_EQ(launch.guest_vmpl, 2u);
  EXPECT_EQ(launch.own.start, plan->layout.svsm.start.value());
  EXPECT_EQ(launch.own.bytes, plan->layout.svsm.length);
  EXPECT_EQ(launch.secrets, low::secrets.value());
  EXPECT_EQ(launch.calling_area, 0xE000u);
  ASSERT_EQ(launch.ram_count, plan->ram.size());
  for (u32 i = 0; i < launch.ram_count; ++i) {
    EXPECT_EQ(launch.ram[i].start, plan->ram[i].start.value());
    EXPECT_EQ(launch.ram[i].bytes, plan->ram[i].length);
  }
  EXPECT_EQ(launch.unaccepted_count, 0u);
}

TEST_F(SvsmPlan, TheInitrdLiesBelow) {
  Inputs inputs = inputs_with(kernel);
  const std::vector<u8> initrd(0x3000, 7);
  inputs.initrd = {"initrd", initrd};
  const auto plan = build(inputs);
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_LE(plan->layout.initrd.value() + plan->layout.initrd_size,
            plan->layout.svsm.start.value());
}

TEST_F(SvsmPlan, MemoryAbove4GiB) {
  Inputs inputs = inputs_with(kernel);
  inputs.memory_size = u64{5} << 30;
  const auto plan = build(inputs);
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_EQ(plan->layout.svsm.end().value(), u64{3} << 30);
  EXPECT_EQ(translate(*plan, (u64{5} << 30) + 0x12345), (u64{5} << 30) + 0x12345);
}

TEST_F(SvsmPlan, TheInjectionModeIsVmpl0s) {
  Inputs inputs = inputs_with(kernel);
  inputs.injection = snp::InjectionMode::restricted;
  const auto plan = build(inputs);
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_EQ(plan->entry_state.sev_features, snp::launch_features(inputs.injection));
  EXPECT_EQ(load<boot::SvsmLaunchPages>(*plan, plan->entry_state.rdi).guest.sev_features, 1u);
  inputs.injection = snp::InjectionMode::alternate;
  EXPECT_NE(error(inputs).find("emulates the APIC"), std::string::npos);
}

TEST_F(SvsmPlan, Refusals) {
  EXPECT_NE(error([&] {
              Inputs inputs = inputs_with(kernel);
              inputs.mode = Mode::plain;
              return inputs;
            }()),
            "");
  Inputs small = inputs_with(kernel);
  small.memory_size = u64{4} << 20;
  EXPECT_NE(error(small).find("no room for an SVSM"), std::string::npos) << error(small);
  svsm = {1, 2, 3};
  EXPECT_NE(error(inputs_with(kernel)).find("expected an ELF64"), std::string::npos);
  svsm = svsm_image(base - 0x1000);
  EXPECT_NE(error(inputs_with(kernel)).find("an SVSM lies within"), std::string::npos);
  svsm = svsm_image(base, maximum_svsm_image + 1);
  EXPECT_NE(error(inputs_with(kernel)).find("an SVSM lies within"), std::string::npos);
}

TEST_F(SvsmPlan, AKernelThatNeedsItsPlaceIsRefused) {
  std::vector<u8> huge = samples::bzimage();
  samples::put<u32>(huge, 0x260, u32{47} << 20);
  EXPECT_NE(error(inputs_with(huge)).find("memory too small"), std::string::npos)
      << error(inputs_with(huge));
  Inputs inputs = inputs_with(huge);
  inputs.svsm.reset();
  EXPECT_EQ(error(inputs), "");
}

}  // namespace
}  // namespace softsnp::image

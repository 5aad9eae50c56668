// The CPUID table contradicts itself nowhere. Linux-boot sheet 3.3-3.5, hardware sheet 1.1.
#include "machine/cpu/system/paging_mode.hpp"
#include "tests/machine/cpu/system/bench.hpp"

namespace softsnp::cpu::test {
namespace {

using psp::Product;

TEST(Cpuid, Signatures) {
  EXPECT_EQ(CpuidTable(Product::milan, 1).query(1, 0, 0).eax, 0x00A00F11u);
  EXPECT_EQ(CpuidTable(Product::genoa, 1).query(1, 0, 0).eax, 0x00A10F11u);
  EXPECT_EQ(CpuidTable(Product::turin, 1).query(1, 0, 0).eax, 0x00B00F21u);
}

TEST(Cpuid, VectorFeaturesAreMaskedEverywhere) {
  const CpuidTable t(Product::genoa, 8);
  const CpuidRegisters l1 = t.query(1, 0, 0);
  const CpuidRegisters l7 = t.query(7, 0, 0);
  for (unsigned n : {12u, 28u, 29u, 3u}) {  // FMA AVX F16C MONITOR
    EXPECT_FALSE(has_bit(l1.ecx, n)) << n;
  }
  for (unsigned n : {5u, 16u, 17u, 21u, 28u, 29u, 30u, 31u}) {  // AVX2, AVX-512, SHA
    EXPECT_FALSE(has_bit(l7.ebx, n)) << n;
  }
  for (unsigned n : {1u, 2u, 3u, 5u, 7u, 9u, 10u, 16u}) {  // VBMI UMIP PKU WAITPKG CET VAES LA57
    EXPECT_FALSE(has_bit(l7.ecx, n)) << n;
  }
  EXPECT_EQ(t.query(0xD, 0, 0).eax, 3u);
  EXPECT_EQ(t.query(0xD, 0, 0).ebx, 0x240u);
  EXPECT_EQ(t.query(0xD, 1, 0).eax, 3u);  // XSAVEOPT XSAVEC
  EXPECT_EQ(t.query(0xD, 2, 0), CpuidRegisters{});
}

TEST(Cpuid, WhatLinuxNeeds) {
  const CpuidTable t(Product::genoa, 1);
  const CpuidRegisters l1 = t.query(1, 0, 0);
  for (unsigned n : {0u, 5u, 6u, 8u, 12u, 15u, 16u, 24u, 25u, 26u}) {
    EXPECT_TRUE(has_bit(l1.edx, n)) << n;
  }
  for (unsigned n : {0u, 1u, 9u, 13u, 17u, 19u, 20u, 21u, 22u, 23u, 25u, 26u, 30u}) {
    EXPECT_TRUE(has_bit(l1.ecx, n)) << n;
  }
  const CpuidRegisters e1 = t.query(0x80000001, 0, 0);
  for (unsigned n : {11u, 20u, 26u, 27u, 29u}) {
    EXPECT_TRUE(has_bit(e1.edx, n)) << n;
  }
  EXPECT_EQ(e1.edx & 0x0183F3FF & ~0x00020800u, l1.edx & 0x0183F3FF & ~0x00020800u);
  EXPECT_TRUE(has_bit(t.query(6, 0, 0).eax, 2));
  EXPECT_TRUE(has_bit(t.query(0x80000007, 0, 0).edx, 8));
}

TEST(Cpuid, Encryption) {
  const CpuidRegisters r = CpuidTable(Product::genoa, 1).query(0x8000001F, 0, 0);
  for (unsigned n : {1u, 3u, 4u, 5u, 6u, 10u}) {
    EXPECT_TRUE(has_bit(r.eax, n)) << n;
  }
  EXPECT_FALSE(has_bit(r.eax, 28));  // SVSM: software's bit
  EXPECT_EQ(get_bits(r.ebx, 5, 0), 51u);
  EXPECT_EQ(get_bits(r.ebx, 15, 12), 4u);
  EXPECT_EQ(r.ecx, 1006u);
  EXPECT_EQ(CpuidTable(Product::genoa, 1).query(0x80000008, 0, 0).eax & 0xFF, physical_bits);
}

TEST(Cpuid, TopologyNamesEachCore) {
  const CpuidTable t(Product::genoa, 5);
  for (u32 core = 0; core < 5; ++core) {
    EXPECT_EQ(t.query(1, 0, core).ebx >> 24, core);
    EXPECT_EQ(t.query(0xB, 1, core).edx, core);
    EXPECT_EQ(t.query(0x8000001E, 0, core).eax, core);
  }
  EXPECT_EQ(t.query(0xB, 1, 0).eax, 3u);  // 5 cores need 3 bits
  EXPECT_EQ(t.query(0x80000008, 0, 0).ecx, 4u | (3u << 12));
}

TEST(Cpuid, ControlRegisterBitsFollowFeatures) {
  const CpuidTable t(Product::genoa, 1);
  const CpuidRegisters l7 = t.query(7, 0, 0);
  const CpuidRegisters l1 = t.query(1, 0, 0);
  const auto supported = [](u64 mask) { return (cr4_supported & mask) != 0; };
  EXPECT_EQ(supported(x86::cr4::smep), has_bit(l7.ebx, 7));
  EXPECT_EQ(supported(x86::cr4::smap), has_bit(l7.ebx, 20));
  EXPECT_EQ(supported(x86::cr4::fsgsbase), has_bit(l7.ebx, 0));
  EXPECT_EQ(supported(x86::cr4::umip), has_bit(l7.ecx, 2));
  EXPECT_EQ(supported(x86::cr4::pke), has_bit(l7.ecx, 3));
  EXPECT_EQ(supported(x86::cr4::la57), has_bit(l7.ecx, 16));
  EXPECT_EQ(supported(x86::cr4::pcide), has_bit(l1.ecx, 17));
  EXPECT_EQ(supported(x86::cr4::osxsave), has_bit(l1.ecx, 26));
  EXPECT_EQ(supported(x86::cr4::vme), has_bit(l1.edx, 1));
}

TEST(Cpuid, InstructionMirrorsOsxsave) {
  Bench b;
  b.gpr(x86::Gpr::rax) = 1;
  b.run(SystemOp::cpuid);
  EXPECT_TRUE(has_bit(b.gpr(x86::Gpr::rcx), 27));
  b.state().cr4 &= ~x86::cr4::osxsave;
  b.gpr(x86::Gpr::rax) = 1;
  b.run(SystemOp::cpuid);
  EXPECT_FALSE(has_bit(b.gpr(x86::Gpr::rcx), 27));
}

TEST(Cpuid, UnknownLeavesAreZero) {
  const CpuidTable t(Product::genoa, 1);
  for (u32 leaf : {0x11u, 0x40000000u, 0x80000FFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(t.query(leaf, 0, 0), CpuidRegisters{}) << std::hex << leaf;
  }
}

}  // namespace
}  // namespace softsnp::cpu::test

#include <gtest/gtest.h>

#include <functional>

#include "tests/image/plan_checks.hpp"
#include "tests/image/samples.hpp"

namespace softsnp::image {
namespace {

struct Case {
  const char* name;
  std::vector<u8> kernel;
  std::function<void(Inputs&)> change;
  const char* message;  // must occur in the one line
};

std::vector<u8> with(std::vector<u8> file, const std::function<void(std::vector<u8>&)>& change) {
  change(file);
  return file;
}
template <class T>
std::vector<u8> with_field(std::vector<u8> file, usize offset, T value) {
  samples::put<T>(file, offset, value);
  return file;
}
std::vector<u8> cut(std::vector<u8> file, usize size) {
  file.resize(size);
  return file;
}

std::vector<Case> cases() {
  const auto bz = samples::bzimage();
  const auto elf = samples::elf64();
  const auto mb = samples::multiboot_addresses();
  const auto none = [](Inputs&) {};
  static const std::vector<u8> big_initrd(u64{60} << 20);
  return {
      {"empty", {}, none, "kernel: not a kernel image: expected"},
      {"text", std::vector<u8>(2000, 'x'), none, "kernel: not a kernel image: expected"},
      {"bzimage cut in the header", cut(bz, 0x210), none,
       "kernel: setup header: file is truncated: expected at least 620 bytes, got 528"},
      {"bzimage cut in the kernel", cut(bz, 0x4000), none,
       "kernel: syssize at 0x1f4: file is truncated: expected 35328 bytes, got 16384"},
      {"boot flag", with_field<u16>(bz, 0x1FE, 0), none,
       "boot_flag at 0x1fe: expected 0xaa55, got 0x0"},
      {"old protocol", with_field<u16>(bz, 0x206, 0x0206), none,
       "boot protocol too old: expected at least 0x20c, got 0x206"},
      {"zImage", with_field<u8>(bz, 0x211, 0), none, "expected LOADED_HIGH"},
      {"32-bit kernel", with_field<u16>(bz, 0x236, 0), none, "no 64-bit entry"},
      {"subarchitecture", with_field<u32>(bz, 0x23C, 3), none, "expected 0 (PC), got 0x3"},
      {"alignment", with_field<u32>(bz, 0x230, 0x300000), none, "kernel_alignment at 0x230"},
      {"alignment zero", with_field<u32>(bz, 0x230, 0), none, "kernel_alignment at 0x230"},
      {"preferred address unaligned", with_field<u64>(bz, 0x258, 0x1000800), none,
       "pref_address at 0x258: expected a multiple of 0x200000"},
      {"preferred address far", with_field<u64>(bz, 0x258, 0xFFFFFFFFFFE00000), none,
       "pref_address, init_size: expected it within"},
      {"preferred address low", with_field<u64>(bz, 0x258, 0), none, "expected it within"},
      {"init_size below image", with_field<u32>(bz, 0x260, 0x1000), none,
       "init_size at 0x260: expected at least the 32 KiB of the image, got 4 KiB"},
      {"no kernel", with_field<u32>(bz, 0x1F4, 0), none, "expected a kernel, got 0 bytes"},
      {"huge syssize", with_field<u32>(bz, 0x1F4, 0xFFFFFFFF), none, "file is truncated"},
      {"memory too small", with_field<u32>(bz, 0x260, 0x4000000), none,
       "memory too small: needs RAM from 0x1000000 to 0x5000000, RAM below 4 GiB ends at "
       "0x4000000"},
      {"memory tiny", bz, [](Inputs& in) { in.memory_size = 1 << 20; },
       "memory: size: expected 4 MiB to 1024 GiB in whole pages, got 1 MiB"},
      {"memory odd", bz, [](Inputs& in) { in.memory_size = (64 << 20) + 1; }, "in whole pages"},
      {"memory absurd", bz, [](Inputs& in) { in.memory_size = ~u64{0} << 12; }, "memory: size"},
      {"command line too long", bz, [](Inputs& in) { in.append.assign(2048, 'a'); },
       "command line: length: 2048 bytes, kernel takes at most 2047"},
      {"command line with zero", bz, [](Inputs& in) { in.append.push_back('\0'); },
       "contains a zero byte"},
      {"initrd empty", bz, [](Inputs& in) { in.initrd.name = "initrd"; }, "initrd is empty"},
      {"initrd too big", bz,
       [](Inputs& in) {
         in.initrd = {"initrd", big_initrd};
       },
       "initrd: size: initrd of 60 MiB is too big: free memory is 0x1300000 to 0x4000000"},
      {"no vcpu", bz, [](Inputs& in) { in.vcpu_count = 0; }, "vcpus: count"},
      {"many vcpus", bz, [](Inputs& in) { in.vcpu_count = 256; }, "vcpus: count"},
      {"c-bit", bz, [](Inputs& in) { in.c_bit = 64; }, "c-bit: position"},
      {"cpuid", bz, [](Inputs& in) { in.cpuid.resize(65); }, "at most 64 fit the CPUID page"},
      {"elf cut", cut(elf, 40), none, "ELF header: file is truncated"},
      {"elf machine", with_field<u16>(elf, 0x12, 183), none, "e_machine: expected x86, got 183"},
      {"elf big-endian", with_field<u8>(elf, 5, 2), none, "e_machine"},
      {"elf relocatable", with_field<u16>(elf, 0x10, 1), none, "expected a static executable"},
      {"elf dynamic", with_field<u16>(elf, 0x10, 3), none, "expected a static executable"},
      {"elf phentsize", with_field<u16>(elf, 0x36, 32), none, "e_phentsize: expected 56, got 32"},
      {"elf no headers", with_field<u16>(elf, 0x38, 0), none, "at least one PT_LOAD"},
      {"elf headers outside", with_field<u64>(elf, 0x20, 0xFFFFFFFFFFFFFFF0), none,
       "program header 0: lies outside the file"},
      {"elf interp", with_field<u32>(elf, 0x40, 3), none, "wants an interpreter"},
      {"elf segment outside", with_field<u64>(elf, 0x48, 0x4000), none,
       "program header 0: file is truncated"},
      {"elf segment offset", with_field<u64>(elf, 0x48, ~u64{0}), none, "file is truncated"},
      {"elf filesz > memsz", with_field<u64>(elf, 0x68, 0x100), none,
       "p_filesz is larger than p_memsz"},
      {"elf overlap", with_field<u64>(elf, 0x90, 0x202000), none, "overlaps another part"},
      {"elf over the loader", with_field<u64>(elf, 0x90, 0x2000), none, "expected it within"},
      {"elf in the VGA window", with_field<u64>(elf, 0x90, 0x9FF80), none, "expected it within"},
      {"elf beyond memory", with_field<u64>(elf, 0x90, u64{1} << 30), none, "memory too small"},
      {"elf wrapping", with_field<u64>(elf, 0x90, ~u64{0}), none, "expected it within"},
      {"elf huge bss", with_field<u64>(elf, 0x68, ~u64{0}), none, "expected it within"},
      {"elf entry", with_field<u64>(elf, 0x18, 0x10), none, "e_entry: 0x10 lies in no segment"},
      {"elf32 without multiboot", with_field<u8>(elf, 4, 1), none, "needs a Multiboot 1 header"},
      {"multiboot flags",
       with(mb,
            [](std::vector<u8>& f) {
              samples::put<u32>(f, 0x104, 0x10004);
              samples::put<u32>(f, 0x108, 0 - 0x1BADB002u - 0x10004u);
            }),
       none, "Multiboot flags: asks for 0x4"},
      {"multiboot cut", cut(mb, 0x110), none, "truncated within the address fields"},
      {"multiboot load_addr", with_field<u32>(mb, 0x110, 0x100101), none, "load_addr"},
      {"multiboot load_addr far", with_field<u32>(mb, 0x110, 0x1000), none, "load_addr"},
      {"multiboot load_end", with_field<u32>(mb, 0x114, 0x110000), none,
       "file is truncated: expected 65536 bytes, got 8192"},
      {"multiboot load_end low", with_field<u32>(mb, 0x114, 0x1000), none, "more than load_addr"},
      {"multiboot bss_end", with_field<u32>(mb, 0x118, 0x100001), none, "at least load_end_addr"},
      {"multiboot entry", with_field<u32>(mb, 0x11C, 0x10), none, "lies in no segment"},
      {"multiboot without elf",
       with(mb,
            [](std::vector<u8>& f) {
              samples::put<u32>(f, 0x104, 0);
              samples::put<u32>(f, 0x108, 0 - 0x1BADB002u);
            }),
       none, "expected an ELF executable"},
  };
}

TEST(Malformed, EachDefectIsNamedInOneLine) {
  for (const Case& c : cases()) {
    Inputs inputs = samples::inputs(c.kernel);
    c.change(inputs);
    const auto plan = build(inputs);
    ASSERT_FALSE(plan.ok()) << c.name;
    EXPECT_NE(plan.error().text.find(c.message), std::string::npos)
        << c.name << ": " << plan.error().text;
    EXPECT_EQ(plan.error().text.find('\n'), std::string::npos) << c.name;
  }
}

constexpr u8 byte_values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};

// Every truncation and every single-byte change of the headers either fails or keeps all
// properties of a plan.
TEST(Malformed, NoByteOfTheHeadersBreaksAPlan) {
  usize plans = 0;
  const auto tried = [&](const std::vector<u8>& file) {
    Inputs inputs = samples::inputs(file);
    inputs.memory_size = u64{32} << 20;
    const auto plan = build(inputs);
    if (plan.ok()) {
      ++plans;
      ASSERT_EQ(checks::broken_invariant(*plan), "");
    }
  };
  const std::vector<u8> bz = samples::bzimage();
  for (usize at = 0x1F1; at < 0x26C; ++at) {
    for (const u8 value : byte_values) {
      tried(with_field<u8>(bz, at, value));
    }
  }
  for (const auto& elf : {samples::elf64(), samples::multiboot_elf32()}) {
    for (usize at = 0; at < 0xB0; ++at) {
      for (const u8 value : byte_values) {
        tried(with_field<u8>(elf, at, value));
      }
    }
  }
  for (usize size = 0; size < 0x300; ++size) {
    tried(cut(bz, size));
    tried(cut(samples::elf64(), size));
    tried(cut(samples::multiboot_addresses(), size));
  }
  EXPECT_GT(plans, 100u);
}

}  // namespace
}  // namespace softsnp::image

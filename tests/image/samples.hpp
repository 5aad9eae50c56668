// Small images made by hand, field by field, for the loader's tests and the fuzzer's seeds.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "arch/boot/elf.hpp"
#include "arch/boot/multiboot.hpp"
#include "arch/boot/setup_header.hpp"
#include "image/image.hpp"

namespace softsnp::image::samples {

template <class T>
void put(std::vector<u8>& file, usize offset, const T& value) {
  if (file.size() < offset + sizeof value) {
    file.resize(offset + sizeof value);
  }
  std::memcpy(&file[offset], &value, sizeof value);
}

inline constexpr u32 bzimage_part_size = 0x8000;

// Setup of five sectors, a protected-mode part of 32 KiB filled with a pattern, then a tail.
inline std::vector<u8> bzimage() {
  std::vector<u8> file(5 * 512);
  file[0x1F1] = 4;
  put<u32>(file, 0x1F4, bzimage_part_size / 16);
  put<u16>(file, 0x1FE, 0xAA55);
  put<u16>(file, 0x200, 0x6AEB);
  put<u32>(file, 0x202, 0x53726448);
  put<u16>(file, 0x206, 0x020F);
  file[0x211] = 1;
  put<u32>(file, 0x22C, 0x7FFFFFFF);
  put<u32>(file, 0x230, 0x200000);
  file[0x234] = 1;
  put<u16>(file, 0x236, 0x7F);
  put<u32>(file, 0x238, 0x7FF);
  put<u64>(file, 0x258, 0x1000000);
  put<u32>(file, 0x260, 0x300000);
  for (u32 i = 0; i < bzimage_part_size; ++i) {
    file.push_back(static_cast<u8>(i * 7 + 1));
  }
  file.resize(file.size() + 0x5C0, 0xEE);
  return file;
}

// A kernel that knows the table: its GUID d5d1de3c-105c-44f9-9ea9-bcef98120031 in two immediates.
inline std::vector<u8> accepting_kernel() {
  std::vector<u8> file = bzimage();
  constexpr u8 guid[] = {0x3C, 0xDE, 0xD1, 0xD5, 0x5C, 0x10, 0xF9, 0x44,
                         0x9E, 0xA9, 0xBC, 0xEF, 0x98, 0x12, 0x00, 0x31};
  std::memcpy(&file[0xA00 + 0x1003], guid, 8);
  std::memcpy(&file[0xA00 + 0x1010], guid + 8, 8);
  return file;
}

// One segment of 0x3000 bytes (0x5000 in memory) at 2 MiB, one of 0x100 bytes at 0x400000.
inline std::vector<u8> elf64() {
  namespace elf = boot::elf;
  std::vector<u8> file(0x5000);
  elf::Header64 header{};
  std::memcpy(header.ident, elf::magic, sizeof elf::magic);
  header.ident[elf::ident_class] = elf::class_64;
  header.ident[elf::ident_data] = elf::data_little_endian;
  header.type = elf::type_executable;
  header.machine = elf::machine_x86_64;
  header.entry = 0x200010;
  header.phoff = sizeof header;
  header.phentsize = sizeof(elf::ProgramHeader64);
  header.phnum = 2;
  put(file, 0, header);
  put(file, 0x40,
      elf::ProgramHeader64{1, 5, 0x1000, 0xFFFF800000200000, 0x200000, 0x3000, 0x5000, 0});
  put(file, 0x78, elf::ProgramHeader64{1, 6, 0x4000, 0x400000, 0x400000, 0x100, 0x100, 0});
  for (usize i = 0x1000; i < file.size(); ++i) {
    file[i] = static_cast<u8>(i >> 4);
  }
  return file;
}

// Multiboot with address fields: 0x2000 bytes at 1 MiB, bss up to 0x104000.
inline std::vector<u8> multiboot_addresses() {
  std::vector<u8> file(0x2000);
  boot::multiboot::Header header{};
  header.magic = boot::multiboot::header_magic;
  header.flags = boot::multiboot::flag_addresses | boot::multiboot::flag_memory_info;
  header.checksum = 0 - header.magic - header.flags;
  header.header_addr = 0x100100;
  header.load_addr = 0x100000;
  header.bss_end_addr = 0x104000;
  header.entry_addr = 0x100200;
  put(file, 0x100, header);
  file[0x200] = 0xF4;
  return file;
}

// ELF32 with a Multiboot header in its segment at 1 MiB.
inline std::vector<u8> multiboot_elf32() {
  namespace elf = boot::elf;
  std::vector<u8> file(0x2000);
  elf::Header32 header{};
  std::memcpy(header.ident, elf::magic, sizeof elf::magic);
  header.ident[elf::ident_class] = elf::class_32;
  header.ident[elf::ident_data] = elf::data_little_endian;
  header.type = elf::type_executable;
  header.machine = elf::machine_386;
  header.entry = 0x100010;
  header.phoff = sizeof header;
  header.phentsize = sizeof(elf::ProgramHeader32);
  header.phnum = 1;
  put(file, 0, header);
  put(file, 0x34, elf::ProgramHeader32{1, 0x1000, 0x100000, 0x100000, 0x1000, 0x3000, 7, 0x1000});
  put(file, 0x1000, boot::multiboot::header_magic);
  put<u32>(file, 0x1004, 0);
  put<u32>(file, 0x1008, 0 - boot::multiboot::header_magic);
  return file;
}

// ELF64 that carries a Multiboot header: 32-bit entry.
inline std::vector<u8> multiboot_elf64() {
  std::vector<u8> file = elf64();
  put(file, 0x1000, boot::multiboot::header_magic);
  put<u32>(file, 0x1004, 0);
  put<u32>(file, 0x1008, 0 - boot::multiboot::header_magic);
  return file;
}

inline Inputs inputs(const std::vector<u8>& kernel, Mode mode = Mode::snp) {
  Inputs result;
  result.kernel = {"kernel", kernel};
  result.memory_size = u64{64} << 20;
  result.mode = mode;
  result.append = "console=ttyS0";
  result.cpuid = {{0, 0, 0, 0, 0xD, 1, 2, 3, 0}, {1, 0, 0, 0, 0xA10F11, 4, 5, 6, 0}};
  return result;
}

}  // namespace softsnp::image::samples

// ELF headers of executables. System V ABI, gabi 4.1 "Object Files"; x86-64 psABI. Freestanding.
#pragma once

#include <cstddef>

#include "base/types.hpp"

namespace softsnp::boot::elf {

inline constexpr u8 magic[4] = {0x7F, 'E', 'L', 'F'};
inline constexpr usize ident_class = 4, ident_data = 5;
inline constexpr u8 class_32 = 1, class_64 = 2, data_little_endian = 1;
inline constexpr u16 type_executable = 2, type_shared = 3;
inline constexpr u16 machine_386 = 3, machine_x86_64 = 62;
inline constexpr u32 segment_load = 1, segment_interp = 3;

struct Header64 {
  u8 ident[16];
  u16 type, machine;
  u32 version;
  u64 entry, phoff, shoff;
  u32 flags;
  u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert(sizeof(Header64) == 64);
static_assert(offsetof(Header64, phoff) == 0x20);

struct ProgramHeader64 {
  u32 type, flags;
  u64 offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(ProgramHeader64) == 56);

struct Header32 {
  u8 ident[16];
  u16 type, machine;
  u32 version;
  u32 entry, phoff, shoff;
  u32 flags;
  u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert(sizeof(Header32) == 52);
static_assert(offsetof(Header32, phoff) == 0x1C);

struct ProgramHeader32 {
  u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
static_assert(sizeof(ProgramHeader32) == 32);

}  // namespace softsnp::boot::elf

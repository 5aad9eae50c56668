// Names from a System.map; hostile ELF files add nothing and break nothing.
#include "observe/symbols.hpp"

#include <random>

#include "tests/observe/events.hpp"

namespace softsnp::observe {
namespace {

TEST(Symbols, NearestBelowWithOffset) {
  Symbols symbols;
  symbols.add_map(bytes_of("0000000000001000 T first\nnonsense\n0000000000002000 t second\n"));
  EXPECT_EQ(symbols.name_of(0xFFF), "");
  EXPECT_EQ(symbols.name_of(0x1FFF), "first+0xfff");
  EXPECT_EQ(symbols.name_of(0x2000), "second+0x0");
  EXPECT_EQ(symbols.name_of(0x2000 + (u64{1} << 30)), "") << "too far away to mean anything";
}

// An ELF64 file with one symbol table and one string table.
std::vector<u8> small_elf(const std::string& name) {
  std::vector<u8> file(0x400, 0);
  const auto put = [&](usize at, u64 value, usize size) {
    for (usize i = 0; i < size; ++i) {
      file[at + i] = static_cast<u8>(value >> (8 * i));
    }
  };
  std::copy_n("\177ELF\2\1\1", 7, file.begin());
  put(0x28, 0x40, 8);          // e_shoff
  put(0x3C, 2, 2);             // e_shnum
  put(0x40 + 4, 2, 4);         // SHT_SYMTAB
  put(0x40 + 0x18, 0x100, 8);  // sh_offset
  put(0x40 + 0x20, 24, 8);     // sh_size
  put(0x40 + 0x28, 1, 4);      // sh_link
  put(0x80 + 4, 3, 4);         // SHT_STRTAB
  put(0x80 + 0x18, 0x200, 8);
  put(0x80 + 0x20, name.size() + 2, 8);
  put(0x100, 1, 4);  // st_name
  put(0x108, 0x5000, 8);
  std::copy(name.begin(), name.end(), file.begin() + 0x201);
  return file;
}

TEST(Symbols, ElfNamesAreDemangled) {
  Symbols symbols;
  symbols.add_elf(small_elf("_ZN4main3runEi"));
  EXPECT_EQ(symbols.name_of(0x5004), "main::run(int)+0x4");
}

TEST(Symbols, DamagedElfFilesAreHarmless) {
  std::mt19937 random(1);
  const std::vector<u8> good = small_elf("name");
  int named = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<u8> bad = good;
    for (int i = 0; i < 4; ++i) {
      bad[random() % 0x110] = static_cast<u8>(random());
    }
    bad.resize(random() % 8 == 0 ? random() % bad.size() : bad.size());
    Symbols symbols;
    symbols.add_elf(bad);
    named += symbols.name_of(0x5000).empty() ? 0 : 1;
  }
  EXPECT_GT(named, 1000) << "the damage should leave some files readable";
}

}  // namespace
}  // namespace softsnp::observe

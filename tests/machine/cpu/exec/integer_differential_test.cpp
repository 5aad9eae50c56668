// Every integer form of the tables against the host processor.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <memory>

#include "tests/machine/cpu/exec/differential.hpp"
#include "tests/machine/cpu/exec/prepare.hpp"

namespace softsnp::cpu::test {
namespace {

constexpr unsigned encodings_per_style = 4;
constexpr unsigned states_per_encoding = 256;

// Near branches with an operand-size prefix leave the test's address space.
bool leaves_test_area(const Row& row) {
  const bool branch = row.ends_block && row.mnemonic != ZYDIS_MNEMONIC_UD2;
  return branch && row.bits != 64 && row.bits != 0;
}

struct Result {
  unsigned forms = 0, skipped = 0;
  std::string absent, not_here;
};

// The encoding with prefixes before it; nothing where they are not allowed.
std::optional<Encoding> prefixed(const Encoding& encoding, std::initializer_list<u8> prefixes) {
  std::vector<u8> bytes(prefixes);
  bytes.insert(bytes.end(), encoding.bytes.begin(), encoding.bytes.end());
  if (encoding.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
      encoding.operands[0].imm.is_relative) {
    bytes[prefixes.size() + encoding.instruction.raw.imm[0].offset] -=
        static_cast<u8>(prefixes.size());
  }
  return decode(bytes, ZYDIS_MACHINE_MODE_LONG_64);
}

// Prefixed forms of an encoding that are worth running too.
std::vector<Encoding> variants(const Row& row, const Encoding& encoding) {
  std::vector<Encoding> result = {encoding};
  const auto add = [&](std::initializer_list<u8> prefixes) {
    if (auto one = prefixed(encoding, prefixes)) {
      result.push_back(*one);
    }
  };
  if (encoding.instruction.meta.category == ZYDIS_CATEGORY_STRINGOP) {
    add({0xF3});
    add({0xF2});
    add({0x67});
    add({0x67, 0xF3});
    add({0x65, 0xF2});
    add({0x65, 0xF3});
  } else if (row.form == forms::m_r || row.form == forms::m_i || row.form == forms::m) {
    add({0xF0});
  }
  const auto category = encoding.instruction.meta.category;
  if (row.form == forms::rel && category == ZYDIS_CATEGORY_COND_BR) {
    add({0x67});
  }
  return result;
}

void run_row(Differential& test, const Row& row, Random& random, Result& result) {
  unsigned encodings = 0;
  for (const MemoryStyle style : memory_styles) {
    if (style != MemoryStyle::base && !has_memory(row.form)) {
      continue;
    }
    const unsigned wanted = has_memory(row.form) ? encodings_per_style : 2 * encodings_per_style;
    unsigned found = 0;
    for (unsigned attempt = 0; attempt < 400 && found < wanted; ++attempt) {
      const auto encoding = encode(row, ZYDIS_MACHINE_MODE_LONG_64, style, random);
      if (!encoding || !preparable(*encoding)) {
        continue;
      }
      if (!host_supports(encoding->instruction)) {
        result.absent += " " + name(row);
        return;
      }
      ++found;
      for (const Encoding& variant : variants(row, *encoding)) {
        const std::string text = test.run(variant, states_per_encoding, random);
        EXPECT_TRUE(text.empty()) << name(row) << ": " << text;
        if (!text.empty()) {
          return;
        }
      }
    }
    encodings += found;
  }
  if (encodings == 0) {
    result.not_here += " [" + name(row) + "]";
    ++result.skipped;
  } else {
    ++result.forms;
  }
}

void run_table(const char* table, std::span<const Row> rows) {
  static Differential* const test = new Differential;
  Random random(1);
  Result result;
  const u64 before = test->states();
  for (const Row& row : rows) {
    if (row.system == SystemOp::pause || leaves_test_area(row)) {
      continue;
    }
    run_row(*test, row, random, result);
  }
  std::printf("[ forms    ] %s: %u forms, %llu states; not in 64-bit code: %u\n", table,
              result.forms, static_cast<unsigned long long>(test->states() - before),
              result.skipped);
  if (!result.not_here.empty()) {
    std::printf("[ not here ]%s\n", result.not_here.c_str());
  }
  EXPECT_GT(result.forms, 0u);
  if (!result.absent.empty()) {
    GTEST_SKIP() << "the host lacks:" << result.absent;
  }
}

TEST(IntegerDifferential, Move) {
  run_table("move", rows_move());
}
TEST(IntegerDifferential, Arithmetic) {
  run_table("arithmetic", rows_arithmetic());
}
TEST(IntegerDifferential, Shift) {
  run_table("shift", rows_shift());
}
TEST(IntegerDifferential, Bit) {
  run_table("bit", rows_bit());
}
TEST(IntegerDifferential, Stack) {
  run_table("stack", rows_stack());
}
TEST(IntegerDifferential, Branch) {
  run_table("branch", rows_branch());
}
TEST(IntegerDifferential, String) {
  run_table("string", rows_string());
}
TEST(IntegerDifferential, Misc) {
  run_table("misc", rows_misc());
}

}  // namespace
}  // namespace softsnp::cpu::test

// The tables themselves: every row is reached by an encoding of some mode, no two rows claim the
// same form, what has no row is #UD.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "machine/cpu/decode/decoder.hpp"
#include "machine/cpu/decode/operands.hpp"
#include "machine/cpu/exec/core.hpp"
#include "machine/cpu/exec/engine.hpp"
#include "tests/machine/cpu/exec/encode.hpp"

namespace softsnp::cpu::test {
namespace {

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const auto table :
       {rows_move(), rows_arithmetic(), rows_shift(), rows_bit(), rows_stack(), rows_branch(),
        rows_string(), rows_misc(), rows_system(), rows_sse(), rows_x87()}) {
    rows.insert(rows.end(), table.begin(), table.end());
  }
  return rows;
}

bool compatible(u16 a, u16 b) {
  return a == 0 || b == 0 || a == b;
}

TEST(Rows, NoTwoClaimTheSameForm) {
  std::map<ZydisMnemonic, std::vector<Row>> by_mnemonic;
  for (const Row& row : all_rows()) {
    for (const Row& other : by_mnemonic[row.mnemonic]) {
      const bool same_form =
          row.form == other.form || row.form == forms::any || other.form == forms::any;
      EXPECT_FALSE(same_form && compatible(row.bits, other.bits) &&
                   compatible(row.source_bits, other.source_bits))
          << name(row) << " and " << name(other);
    }
    by_mnemonic[row.mnemonic].push_back(row);
  }
}

bool matches(const Row& row, const Shape& shape) {
  return row.form == forms::any || (row.form == shape.form && compatible(row.bits, shape.bits) &&
                                    compatible(row.source_bits, shape.source_bits));
}

class Sweep {
 public:
  Sweep() : rows_(all_rows()), reached_(rows_.size()) {
    for (usize i = 0; i < rows_.size(); ++i) {
      by_mnemonic_[rows_[i].mnemonic].push_back(i);
    }
  }

  void run() {
    legacy(ZYDIS_MACHINE_MODE_LONG_64, code_mode::size64, {});
    legacy(ZYDIS_MACHINE_MODE_LONG_64, code_mode::size64, {0x48});
    legacy(ZYDIS_MACHINE_MODE_LEGACY_32, code_mode::size32 | code_mode::stack32, {});
    legacy(ZYDIS_MACHINE_MODE_LEGACY_16, code_mode::size16, {});
    for (const u8 address : {u8{0}, u8{0x67}}) {
      one_prefix(ZYDIS_MACHINE_MODE_LEGACY_32, code_mode::size32 | code_mode::stack32, address,
                 0xE3);
      one_prefix(ZYDIS_MACHINE_MODE_LONG_64, code_mode::size64, address, 0xE3);
    }
    vex();
  }

  unsigned missing() const {
    unsigned count = 0;
    for (usize i = 0; i < rows_.size(); ++i) {
      if (!reached_[i]) {
        ADD_FAILURE() << "no encoding reaches " << name(rows_[i]);
        ++count;
      }
    }
    return count;
  }
  u64 encodings() const { return encodings_; }
  usize rows() const { return rows_.size(); }

 private:
  void try_bytes(std::vector<u8> bytes, ZydisMachineMode mode, u32 ours) {
    bytes.resize(15, 0x10);
    ++encodings_;
    Op op{};
    OpInfo info{};
    const DecodeStatus status = decoder_.decode(bytes.data(), 15, 0x800, ours, op, info);
    ASSERT_NE(status, DecodeStatus::truncated);
    ASSERT_NE(op.fn, nullptr);
    const auto encoding = decode(bytes, mode);
    if (!encoding) {
      ASSERT_TRUE(op.fn == &op_undefined || op.fn == &op_too_long || info.system_id != 0);
      return;
    }
    Instruction in;
    in.zydis = encoding->instruction;
    std::copy(std::begin(encoding->operands), std::end(encoding->operands), in.operands);
    const Shape shape = shape_of(in);
    bool any = false;
    for (const usize i : by_mnemonic_[encoding->instruction.mnemonic]) {
      if (matches(rows_[i], shape)) {
        any = true;
        reached_[i] = reached_[i] || op.fn == rows_[i].flat || op.fn == rows_[i].general ||
                      op.fn == rows_[i].base || op.fn == rows_[i].segment;
        break;
      }
    }
    if (!any && info.system_id == 0) {
      ASSERT_EQ(op.fn, &op_undefined) << encoding->text();
      ASSERT_EQ(status, DecodeStatus::ends_block);
    }
  }

  void one_prefix(ZydisMachineMode mode, u32 ours, u8 prefix, u8 opcode) {
    std::vector<u8> bytes;
    if (prefix != 0) {
      bytes.push_back(prefix);
    }
    bytes.push_back(opcode);
    try_bytes(bytes, mode, ours);
  }

  void legacy(ZydisMachineMode mode, u32 ours, const std::vector<u8>& rex) {
    const std::vector<std::vector<u8>> prefixes = {{}, {0x66}, {0xF2}, {0xF3}, {0x66, 0xF2}};
    const std::vector<std::vector<u8>> maps = {{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
    for (const auto& prefix : prefixes) {
      for (const auto& map : maps) {
        for (unsigned opcode = 0; opcode < 256; ++opcode) {
          for (unsigned modrm = 0; modrm < 256; modrm += modrm < 0xC0 ? 4 : 1) {
            std::vector<u8> bytes = prefix;
            bytes.insert(bytes.end(), rex.begin(), rex.end());
            bytes.insert(bytes.end(), map.begin(), map.end());
            bytes.push_back(static_cast<u8>(opcode));
            bytes.push_back(static_cast<u8>(modrm));
            try_bytes(bytes, mode, ours);
          }
        }
      }
    }
  }

  void vex() {
    for (unsigned map = 1; map <= 3; ++map) {
      for (unsigned third = 0; third < 256; third += third % 8 == 3 ? 5 : 1) {  // L = 0
        for (unsigned opcode = 0; opcode < 256; ++opcode) {
          for (const unsigned modrm : {0x03u, 0x0Bu, 0x13u, 0x1Bu, 0xC3u, 0xCBu, 0xD3u, 0xDBu}) {
            if ((third & 0x78) == 0x78 || opcode >= 0xF0) {
              try_bytes({0xC4, static_cast<u8>(0xE0 | map), static_cast<u8>(third),
                         static_cast<u8>(opcode), static_cast<u8>(modrm)},
                        ZYDIS_MACHINE_MODE_LONG_64, code_mode::size64);
            }
          }
        }
      }
    }
  }

  Decoder decoder_;
  std::vector<Row> rows_;
  std::vector<bool> reached_;
  std::map<ZydisMnemonic, std::vector<usize>> by_mnemonic_;
  u64 encodings_ = 0;
};

TEST(Rows, EachIsReachedAndTheRestIsUndefined) {
  Sweep sweep;
  sweep.run();
  EXPECT_EQ(sweep.missing(), 0u);
  std::printf("[ rows     ] %zu rows, %llu encodings\n", sweep.rows(),
              static_cast<unsigned long long>(sweep.encodings()));
}

}  // namespace
}  // namespace softsnp::cpu::test

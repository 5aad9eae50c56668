// Makes encodings of a row of the decoder's tables, with registers and addressing at random.
#pragma once

#include <Zydis/Zydis.h>

#include <optional>
#include <string>
#include <vector>

#include "machine/cpu/decode/rows.hpp"
#include "tests/machine/cpu/exec/random.hpp"

namespace softsnp::cpu::test {

// How a memory operand is addressed.
enum class MemoryStyle : u8 { base, indexed, absolute, gs, address32 };
inline constexpr MemoryStyle memory_styles[] = {MemoryStyle::base, MemoryStyle::indexed,
                                                MemoryStyle::absolute, MemoryStyle::gs,
                                                MemoryStyle::address32};

struct Encoding {
  std::vector<u8> bytes;
  ZydisDecodedInstruction instruction;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  std::string text() const;
};

// Nothing if the encoder has no such form in this mode or the dice fell badly: try again.
std::optional<Encoding> encode(const Row& row, ZydisMachineMode mode, MemoryStyle style,
                               Random& random);
std::optional<Encoding> decode(const std::vector<u8>& bytes, ZydisMachineMode mode);
std::string name(const Row& row);

}  // namespace softsnp::cpu::test

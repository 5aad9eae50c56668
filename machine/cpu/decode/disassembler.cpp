#include "machine/cpu/decode/disassembler.hpp"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <cstdio>

namespace softsnp::cpu {
namespace {

ZydisMachineMode machine_mode(u32 mode) {
  switch (mode & code_mode::size_mask) {
    case code_mode::size16:
      return ZYDIS_MACHINE_MODE_LEGACY_16;
    case code_mode::size32:
      return ZYDIS_MACHINE_MODE_LEGACY_32;
    default:
      return ZYDIS_MACHINE_MODE_LONG_64;
  }
}

}  // namespace

std::string disassemble(std::span<const u8> bytes, u64 rip, u32 mode) {
  ZydisDisassembledInstruction instruction;
  if (!ZYAN_SUCCESS(ZydisDisassembleIntel(machine_mode(mode), rip, bytes.data(), bytes.size(),
                                          &instruction))) {
    return "(undefined)";
  }
  return instruction.text;
}

std::string last_instructions(const Core& core, unsigned limit) {
  const Block* block = core.block;
  if (block == nullptr || core.stop_op < block->ops ||
      core.stop_op >= block->ops + block->op_count) {
    return {};
  }
  const auto last = static_cast<unsigned>(core.stop_op - block->ops);
  std::string text;
  for (unsigned i = last + 1 > limit ? last + 1 - limit : 0; i <= last; ++i) {
    const OpInfo& info = block->info[i];
    const u64 rip = block->rip + info.rip_offset;
    char address[24];
    std::snprintf(address, sizeof address, "  %#llx  ", static_cast<unsigned long long>(rip));
    text += address +
            disassemble({info.bytes, std::min<usize>(info.length, sizeof info.bytes)}, rip,
                        block->mode) +
            "\n";
  }
  return text;
}

}  // namespace softsnp::cpu

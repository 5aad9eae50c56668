// Instructions as text, for explanations.
#pragma once

#include <span>
#include <string>

#include "machine/cpu/exec/core.hpp"

namespace softsnp::cpu {

// Intel syntax; mode as in Core::context. "(undefined)" if the bytes are no instruction.
std::string disassemble(std::span<const u8> bytes, u64 rip, u32 mode);

// The instructions of the core's current block up to and with the one it stopped at, oldest first,
// one a line with its RIP; at most limit of them.
std::string last_instructions(const Core& core, unsigned limit);

}  // namespace softsnp::cpu

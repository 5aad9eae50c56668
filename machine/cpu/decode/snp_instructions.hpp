// SEV-SNP instructions and VMGEXIT: F2 or F3 before 0F 01 D9, FD, FE, FF. Hardware sheet 4
// (opcodes; the same bytes without prefix are other instructions). Zydis knows only some of them.
#pragma once

#include "machine/cpu/exec/op.hpp"

namespace softsnp::cpu {

// True if bytes begin with one: op and info are filled.
bool decode_snp(const u8* bytes, u32 size, bool code64, Op& op, OpInfo& info);

}  // namespace softsnp::cpu

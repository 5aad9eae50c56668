// The MSRs of a core, one row each. APM2 appendix A; hardware sheet 1.2.
#pragma once

#include "machine/cpu/system/system.hpp"

namespace softsnp::cpu {

enum class MsrScope : u8 { any, host, guest };  // elsewhere #GP(0)

struct MsrRow {
  u32 first, last;
  const char* name;
  MsrScope scope;
  // False: #GP(0). write null: read-only; read null: write-only.
  bool (*read)(System&, u32 number, u64& value);
  bool (*write)(System&, u32 number, u64 value);
};

// Null: the processor has no such MSR.
const MsrRow* find_msr(u32 number);

// Bit of an MSR in the permissions map (APM2 15.11): its read bit; false if outside the map,
// where every access is intercepted.
bool msr_map_bit(u32 number, u32& bit_number);

}  // namespace softsnp::cpu
